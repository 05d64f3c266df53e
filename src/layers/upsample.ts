import * as tf from "@tensorflow/tfjs-core";
import { doubled, nearestSources } from "../ops/nearest.ts";
import { Conv2d } from "./conv2d.ts";
import { Layer } from "./layer.ts";

/** Every cell repeated, twice each way or to a given size, then a 3 × 3 convolution. diffusers' Upsample2D. */
export class Upsample extends Layer<
  [x: tf.Tensor4D, size?: readonly [height: number, width: number] | undefined],
  tf.Tensor4D
> {
  conv: Conv2d;

  constructor(channels: number) {
    super();
    this.conv = new Conv2d(channels, channels, { kernel: 3, padding: 1 });
  }

  /** x [B, H, W, C] → [B, height, width, C], by default [B, 2H, 2W, C] */
  protected override forward(x: tf.Tensor4D, size?: readonly [height: number, width: number]): tf.Tensor4D {
    const [height, width] = size ?? [2 * x.shape[1], 2 * x.shape[2]];
    return this.conv.apply(nearest(x, height, width));
  }
}

/**
 * PyTorch's `interpolate(mode="nearest")`. The rows and columns are chosen here, since backends round differently where the
 * factor is not 2.
 */
function nearest(x: tf.Tensor4D, height: number, width: number): tf.Tensor4D {
  if (height === 2 * x.shape[1] && width === 2 * x.shape[2]) return doubled(x);
  const [rows, columns] = [nearestSources(x.shape[1], height), nearestSources(x.shape[2], width)];
  return tf.gather(tf.gather(x, tf.tensor1d(rows, "int32"), 1), tf.tensor1d(columns, "int32"), 2);
}
