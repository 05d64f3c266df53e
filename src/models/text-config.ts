import * as z from "zod";
import { only } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { TextEncoderSizes } from "../layers/text-encoder.ts";
import type { ActivationName } from "../ops/activations.ts";

/** Fields of every transformers configuration that would change the model, and are only supported where they do not. */
export const fineTuning = {
  add_cross_attention: only(false),
  is_decoder: only(false),
  pruned_heads: z.strictObject({}).nullish(),
  problem_type: z.string().nullish(),
  ...{ id2label: z.unknown().optional(), label2id: z.unknown().optional(), num_labels: z.unknown().optional() },
};

/** The part of a config.json that is of one encoder: all of it, or what stands under a name of the joined model's. */
export function partOfConfig(
  name: "text_config" | "vision_config",
  json: unknown,
  where: string,
): { json: unknown; where: string } {
  if (typeof json !== "object" || json === null || !Object.hasOwn(json, name)) return { json, where };
  return { json: (json as Record<string, unknown>)[name], where: `${where}, ${name}` };
}

/** transformers' names for the sizes of a text transformer. */
interface TextFields {
  vocab_size: number;
  hidden_size: number;
  intermediate_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  max_position_embeddings: number;
  hidden_act: ActivationName;
  layer_norm_eps: number;
}

/** The sizes under our names. @throws ConfigError where the channels cannot be shared out among the heads */
export function textSizes(
  fields: TextFields,
  where: string,
): TextEncoderSizes & { vocabSize: number; positions: number } {
  const { hidden_size: channels, num_attention_heads: heads } = fields;
  if (channels % heads !== 0) {
    throw new ConfigError(
      `${where}: the field "hidden_size" is ${channels}, no multiple of "num_attention_heads", ${heads}.`,
    );
  }
  return {
    vocabSize: fields.vocab_size,
    positions: fields.max_position_embeddings,
    channels,
    mlpChannels: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads,
    activation: fields.hidden_act,
    eps: fields.layer_norm_eps,
  };
}
