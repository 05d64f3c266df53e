import * as tf from "@tensorflow/tfjs-core";
import { gelu } from "../ops/activations.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";

/** Values, each times the GELU of its gate (Shazeer 2020). */
export class Geglu extends Layer<[x: tf.Tensor3D], tf.Tensor3D> {
  proj: Linear<tf.Tensor3D>;

  constructor(inChannels: number, outChannels: number) {
    super();
    this.proj = new Linear(inChannels, 2 * outChannels);
  }

  /** x [B, N, in] → [B, N, out] */
  protected override forward(x: tf.Tensor3D): tf.Tensor3D {
    const [value, gate] = tf.split(this.proj.apply(x), 2, 2) as [tf.Tensor3D, tf.Tensor3D];
    return tf.mul(value, gelu(gate));
  }
}

/** The feed-forward part of a transformer block, four times as wide within. diffusers' FeedForward. */
export class FeedForward extends Layer<[x: tf.Tensor3D], tf.Tensor3D> {
  static override readonly fileNames = { geglu: "net.0", projOut: "net.2" };

  geglu: Geglu;
  projOut: Linear<tf.Tensor3D>;

  constructor(channels: number) {
    super();
    this.geglu = new Geglu(channels, 4 * channels);
    this.projOut = new Linear(4 * channels, channels);
  }

  /** x [B, N, C] → the same shape */
  protected override forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.projOut.apply(this.geglu.apply(x));
  }
}
