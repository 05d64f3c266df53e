import type * as tf from "@tensorflow/tfjs-core";
import { scaledDotProductAttention } from "../ops/attention.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";

export interface AttentionOptions {
  /** Channels of the tokens that ask, and of the result. */
  channels: number;
  /** Channels of the tokens that are asked, where they are others. */
  contextChannels?: number;
  heads: number;
  /** Channels of one head. */
  headDim: number;
  /** Whether queries, keys and values have biases. */
  bias?: boolean;
  /** Whether the projection at the end has one. */
  outBias?: boolean;
}

/**
 * Multi-head attention (Vaswani et al. 2017) of tokens to themselves or to a context. diffusers' Attention.
 *
 * B batch, N tokens, M tokens of the context.
 */
export class Attention extends Layer<
  [x: tf.Tensor3D, context?: tf.Tensor3D | undefined, scoreBias?: tf.Tensor4D | undefined],
  tf.Tensor3D
> {
  static override readonly fileNames = { toOut: "to_out.0" };

  toQ: Linear<tf.Tensor3D>;
  toK: Linear<tf.Tensor3D>;
  toV: Linear<tf.Tensor3D>;
  toOut: Linear<tf.Tensor3D>;
  readonly #heads: number;

  constructor({
    channels,
    contextChannels = channels,
    heads,
    headDim,
    bias = false,
    outBias = true,
  }: AttentionOptions) {
    super();
    this.toQ = new Linear(channels, heads * headDim, { bias });
    this.toK = new Linear(contextChannels, heads * headDim, { bias });
    this.toV = new Linear(contextChannels, heads * headDim, { bias });
    this.toOut = new Linear(heads * headDim, channels, { bias: outBias });
    this.#heads = heads;
  }

  /**
   * x [B, N, C], context [B, M, contextChannels], by default x itself → [B, N, C]. The bias is added to the scores and
   * broadcasts to [B, heads, N, M].
   */
  protected override forward(x: tf.Tensor3D, context: tf.Tensor3D = x, scoreBias?: tf.Tensor4D): tf.Tensor3D {
    const [q, k, v] = [this.toQ.apply(x), this.toK.apply(context), this.toV.apply(context)];
    return this.toOut.apply(scaledDotProductAttention(q, k, v, { heads: this.#heads, bias: scoreBias }));
  }
}
