import type * as tf from "@tensorflow/tfjs-core";
import { Conv2d } from "./conv2d.ts";
import { Layer } from "./layer.ts";

export interface DownsampleOptions {
  /** Zeros around the picture: one on every side (UNets), or one at its right and bottom only (autoencoders). */
  padding: 1 | "end";
}

/** Half the width and height, by a 3 × 3 convolution with stride 2. diffusers' Downsample2D. */
export class Downsample extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  conv: Conv2d;

  constructor(channels: number, { padding }: DownsampleOptions) {
    super();
    this.conv = new Conv2d(channels, channels, {
      kernel: 3,
      stride: 2,
      padding: padding === "end" ? { top: 0, bottom: 1, left: 0, right: 1 } : padding,
    });
  }

  /** x [B, H, W, C] → [B, ⌈H/2⌉, ⌈W/2⌉, C]; with padding "end", an odd H gives ⌊H/2⌋ */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    return this.conv.apply(x);
  }
}
