import * as tf from "@tensorflow/tfjs-core";
import { scaledDotProductAttention } from "../ops/attention.ts";
import { GroupNorm } from "./group-norm.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";

/**
 * Attention of every cell of a picture to every cell, with one head as wide as the picture has channels, added to the
 * picture: the attention of autoencoders. diffusers' Attention with `group_norm` and `residual_connection`.
 *
 * B batch, H W height and width.
 */
export class SpatialAttention extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  static override readonly fileNames = { toOut: "to_out.0" };

  groupNorm: GroupNorm;
  toQ: Linear<tf.Tensor3D>;
  toK: Linear<tf.Tensor3D>;
  toV: Linear<tf.Tensor3D>;
  toOut: Linear<tf.Tensor3D>;

  constructor(channels: number, { groups, eps }: { groups: number; eps: number }) {
    super();
    this.groupNorm = new GroupNorm(groups, channels, { eps });
    this.toQ = new Linear(channels, channels);
    this.toK = new Linear(channels, channels);
    this.toV = new Linear(channels, channels);
    this.toOut = new Linear(channels, channels);
  }

  /** x [B, H, W, C] → the same shape */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    const [batch, height, width, channels] = x.shape;
    const cells: tf.Tensor3D = tf.reshape(this.groupNorm.apply(x), [batch, height * width, channels]);
    const [q, k, v] = [this.toQ.apply(cells), this.toK.apply(cells), this.toV.apply(cells)];
    const h = this.toOut.apply(scaledDotProductAttention(q, k, v, { heads: 1 })); // [B, H·W, C]
    return tf.add(x, tf.reshape(h, x.shape));
  }
}
