import * as tf from "@tensorflow/tfjs-core";
import { LayerNorm } from "../layers/layer-norm.ts";
import { Linear } from "../layers/linear.ts";
import { keeping, StagedLayer, type Stages } from "../layers/stages.ts";
import { TextEmbeddings, TextEncoder } from "../layers/text-encoder.ts";
import { causalBias, paddingBias } from "../ops/attention-mask.ts";
import type { SiglipTextConfig } from "./siglip-text-config.ts";
import type { TextEncoding } from "./text-encoding.ts";

/** Which tokens a token sees: all, those that are no padding, or itself and those before it. */
export type TextMask = "none" | "padding" | "causal";

export interface SiglipTextOptions {
  /** "none" where it is not given, as the reference does with token ids alone. */
  mask?: TextMask | undefined;
  /** [B, N], 1 for a token and 0 for padding; needed for the mask "padding" and used by no other. */
  attentionMask?: tf.Tensor2D | undefined;
}

/**
 * SigLIP's text transformer (Zhai et al. 2023), as transformers' SiglipTextModel has it: pre-norm layers with learned
 * positions, pooled by a linear head over the last position, whatever token stands there.
 */
export class SiglipTextModel extends StagedLayer<[ids: tf.Tensor2D, options?: SiglipTextOptions], TextEncoding> {
  static override readonly fileNames = {
    embeddings: "text_model.embeddings",
    encoder: "text_model.encoder",
    finalLayerNorm: "text_model.final_layer_norm",
    head: "text_model.head",
  };

  embeddings: TextEmbeddings;
  encoder: TextEncoder;
  finalLayerNorm: LayerNorm<tf.Tensor3D>;
  head: Linear<tf.Tensor2D>;

  constructor(config: SiglipTextConfig) {
    super();
    this.embeddings = new TextEmbeddings(config);
    this.encoder = new TextEncoder(config);
    this.finalLayerNorm = new LayerNorm(config.channels, { eps: config.eps });
    this.head = new Linear(config.channels, config.projectionChannels);
  }

  /** ids [B, N] int32 → hidden states [B, N, C] and pooled [B, P]; a stage for each layer */
  override *stages(ids: tf.Tensor2D, options: SiglipTextOptions = {}): Stages<TextEncoding> {
    const x = this.embeddings.apply(ids);
    const bias = scoreBias(ids.shape[1], options);
    const mine = bias ? [x, bias] : [x];
    const [last, penultimateHiddenState] = yield* keeping(mine, this.encoder.stages(x, bias));

    const lastHiddenState = this.finalLayerNorm.apply(last);
    const lastPosition = tf.squeeze(tf.slice(lastHiddenState, [0, ids.shape[1] - 1, 0], [-1, 1, -1]), [1]);
    return { lastHiddenState, penultimateHiddenState, pooled: this.head.apply(lastPosition as tf.Tensor2D) };
  }
}

function scoreBias(length: number, { mask = "none", attentionMask }: SiglipTextOptions): tf.Tensor4D | undefined {
  if (mask === "causal") return causalBias(length);
  if (mask === "none") return undefined;
  if (!attentionMask)
    throw new Error('The mask "padding" needs an attentionMask: give the one that the tokenizer made.');
  return paddingBias(attentionMask);
}
