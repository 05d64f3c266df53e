import * as z from "zod";
import { only } from "../config.ts";
import { ConfigError } from "../errors.ts";

/** Fields of every transformers configuration that would change the model, and are only supported where they do not. */
export const fineTuning = {
  add_cross_attention: only(false),
  is_decoder: only(false),
  pruned_heads: z.strictObject({}).nullish(),
  problem_type: z.string().nullish(),
  ...{ id2label: z.unknown().optional(), label2id: z.unknown().optional(), num_labels: z.unknown().optional() },
};

/** The part of a config.json that is of the text encoder: all of it, or what stands under `text_config`. */
export function textConfigOf(json: unknown, where: string): { json: unknown; where: string } {
  if (typeof json !== "object" || json === null || !Object.hasOwn(json, "text_config")) return { json, where };
  return { json: (json as { text_config: unknown }).text_config, where: `${where}, text_config` };
}

/** @throws ConfigError where the channels cannot be shared out among the heads */
export function headsDivide(
  { hidden_size, num_attention_heads }: { hidden_size: number; num_attention_heads: number },
  where: string,
): void {
  if (hidden_size % num_attention_heads === 0) return;
  throw new ConfigError(
    `${where}: the field "hidden_size" is ${hidden_size}, no multiple of "num_attention_heads", ${num_attention_heads}.`,
  );
}
