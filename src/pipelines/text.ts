import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import { runStages } from "../layers/stages.ts";
import type { ClipTextModel } from "../models/clip-text.ts";
import { SiglipTextModel } from "../models/siglip-text.ts";
import type { Encoding, Tokenizer } from "../tokenizers/index.ts";
import type { Request } from "./request.ts";
import { type TensorData, takeData } from "./tensor-data.ts";

/** What the UNet is told of a text. */
export interface Conditioning {
  /** [1, N, C] */
  embeds: TensorData;
  /** [1, P] */
  pooled: TensorData;
}

/** Every text's conditioning, each text encoded once, and a sentence for each that was too long. */
export async function encodeTexts(
  texts: readonly string[],
  tokenizer: Tokenizer,
  model: SiglipTextModel | ClipTextModel,
  options: Pick<Request, "textMask" | "textHiddenState" | "signal">,
): Promise<{ texts: Map<string, Conditioning>; warnings: string[] }> {
  const conditionings = new Map<string, Conditioning>();
  const warnings: string[] = [];
  for (const text of new Set(texts)) {
    const encoding = tokenizer.encode(text);
    conditionings.set(text, await encode(encoding, model, options));
    if (encoding.truncated === undefined) continue;
    warnings.push(
      `A prompt is longer than the ${tokenizer.length} tokens that the model reads. This end of it was cut: ${shortened(encoding.truncated)}`,
    );
  }
  return { texts: conditionings, warnings };
}

/** A prompt may have a million characters; a warning may not. */
function shortened(text: string): string {
  const longest = 300;
  return text.length <= longest ? text : `${text.slice(0, longest)}… (${text.length - longest} more characters)`;
}

async function encode(
  { ids, attentionMask }: Encoding,
  model: SiglipTextModel | ClipTextModel,
  { textMask, textHiddenState, signal }: Pick<Request, "textMask" | "textHiddenState" | "signal">,
): Promise<Conditioning> {
  const shape: [number, number] = [1, ids.length];
  const inputs = { ids: tf.tensor2d(ids, shape, "int32"), attentionMask: tf.tensor2d(attentionMask, shape, "int32") };
  try {
    const stages =
      model instanceof SiglipTextModel
        ? model.stages(inputs.ids, { mask: textMask, attentionMask: inputs.attentionMask })
        : model.stages(inputs.ids);
    const { lastHiddenState, penultimateHiddenState, pooled } = await runStages(stages, { signal });
    const [wanted, other] =
      textHiddenState === "last"
        ? [lastHiddenState, penultimateHiddenState]
        : [penultimateHiddenState, lastHiddenState];
    other.dispose();
    const [embeds, vector] = await Promise.all([takeData(wanted), takeData(pooled)]); // both are freed, whatever fails
    return { embeds, pooled: vector };
  } finally {
    tf.dispose(inputs);
  }
}

/** @throws ConfigError where the request wants of CLIP's encoder what only SigLIP's is known to do */
export function checkTextOptions(
  model: SiglipTextModel | ClipTextModel,
  { textMask, textHiddenState }: Pick<Request, "textMask" | "textHiddenState">,
): void {
  if (model instanceof SiglipTextModel) return;
  if (textMask !== "none" && textMask !== "causal") {
    throw new ConfigError(
      `The text mask "${textMask}" is for SigLIP's text encoder; this model has CLIP's, which is always causal.`,
    );
  }
  if (textHiddenState !== "last") {
    throw new ConfigError(`The hidden state "${textHiddenState}" is for SigLIP's text encoder; this model has CLIP's.`);
  }
}

/** What a text encoder gives for a text that is not there, where the model was trained with zeros for it. */
export function zerosLike({ embeds, pooled }: Conditioning): Conditioning {
  const zeros = ({ shape, data }: TensorData) => ({ shape, data: new Float32Array(data.length) });
  return { embeds: zeros(embeds), pooled: zeros(pooled) };
}
