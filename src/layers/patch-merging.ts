import * as tf from "@tensorflow/tfjs-core";
import { padToMultiple } from "../ops/pad.ts";
import { Layer } from "./layer.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Linear } from "./linear.ts";

/** Swin's way to half the resolution: the channels of 2 × 2 patches side by side, norm, and half as many channels. */
export class PatchMerging extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  norm: LayerNorm<tf.Tensor4D>;
  reduction: Linear<tf.Tensor4D>;

  constructor(channels: number) {
    super();
    // transformers leaves this norm at PyTorch's eps, whatever layer_norm_eps says.
    this.norm = new LayerNorm(4 * channels, { eps: 1e-5 });
    this.reduction = new Linear(4 * channels, 2 * channels, { bias: false });
  }

  /** x [B, H, W, C] → [B, ⌈H / 2⌉, ⌈W / 2⌉, 2 C] */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    const even = padToMultiple(x, 2);
    const [batch, height, width, channels] = even.shape;
    const blocks = tf.reshape(even, [(batch * height) / 2, 2, width / 2, 2, channels]); // rows and columns of each 2 × 2
    // Column by column, so the order is top left, bottom left, top right, bottom right.
    const merged = tf.transpose(blocks, [0, 2, 3, 1, 4]);
    return this.reduction.apply(this.norm.apply(tf.reshape(merged, [batch, height / 2, width / 2, 4 * channels])));
  }
}
