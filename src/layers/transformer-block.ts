import * as tf from "@tensorflow/tfjs-core";
import { Attention } from "./attention.ts";
import { FeedForward } from "./feed-forward.ts";
import { Layer } from "./layer.ts";
import { LayerNorm } from "./layer-norm.ts";

export interface TransformerBlockOptions {
  heads: number;
  /** Channels of the context's tokens. */
  contextChannels: number;
  /** What the first attention looks at: the tokens themselves, or, where nothing shall mix them, the context too. */
  firstAttention?: "self" | "context";
}

/**
 * Attention to the tokens themselves, attention to the context, feed-forward; each after a norm, each added to what it was
 * given (Vaswani et al. 2017, with the norms before). diffusers' BasicTransformerBlock.
 *
 * B batch, N image tokens, M text tokens, C channels.
 */
export class TransformerBlock extends Layer<
  [x: tf.Tensor3D, context: tf.Tensor3D, contextBias?: tf.Tensor4D | undefined],
  tf.Tensor3D
> {
  norm1: LayerNorm<tf.Tensor3D>;
  attn1: Attention;
  norm2: LayerNorm<tf.Tensor3D>;
  attn2: Attention;
  norm3: LayerNorm<tf.Tensor3D>;
  ff: FeedForward;
  readonly #firstAttention: "self" | "context";

  constructor(channels: number, { heads, contextChannels, firstAttention = "self" }: TransformerBlockOptions) {
    super();
    const attention = { channels, heads, headDim: channels / heads };
    this.norm1 = new LayerNorm(channels);
    this.attn1 = new Attention(firstAttention === "self" ? attention : { ...attention, contextChannels });
    this.norm2 = new LayerNorm(channels);
    this.attn2 = new Attention({ ...attention, contextChannels });
    this.norm3 = new LayerNorm(channels);
    this.ff = new FeedForward(channels);
    this.#firstAttention = firstAttention;
  }

  /** x [B, N, C], context [B, M, contextChannels], contextBias for the scores of the context [B, 1, 1, M] → [B, N, C] */
  protected override forward(x: tf.Tensor3D, context: tf.Tensor3D, contextBias?: tf.Tensor4D): tf.Tensor3D {
    // The bias is for the second attention alone, in diffusers too.
    const first = this.#firstAttention === "context" ? context : undefined;
    let h: tf.Tensor3D = tf.add(x, this.attn1.apply(this.norm1.apply(x), first));
    h = tf.add(h, this.attn2.apply(this.norm2.apply(h), context, contextBias));
    return tf.add(h, this.ff.apply(this.norm3.apply(h)));
  }
}
