import * as tf from "@tensorflow/tfjs-core";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** Cells of zeros on each side of a picture. */
export interface Padding {
  top: number;
  bottom: number;
  left: number;
  right: number;
}

export interface Conv2dOptions {
  /** Side of the square filter. */
  kernel: number;
  stride?: number;
  /** Zeros on every side, as PyTorch's `padding`, or for each side. */
  padding?: number | Padding;
  bias?: boolean;
}

/** A square convolution, NHWC. */
export class Conv2d extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  weight: Parameter<tf.Rank.R4>;
  bias?: Parameter<tf.Rank.R1>;
  readonly #kernel: number;
  readonly #stride: number;
  readonly #padding: Padding;

  constructor(
    inChannels: number,
    outChannels: number,
    { kernel, stride = 1, padding = 0, bias = true }: Conv2dOptions,
  ) {
    super();
    this.weight = new Parameter([outChannels, inChannels, kernel, kernel], [2, 3, 1, 0]);
    if (bias) this.bias = new Parameter([outChannels]);
    this.#kernel = kernel;
    this.#stride = stride;
    this.#padding =
      typeof padding === "number" ? { top: padding, bottom: padding, left: padding, right: padding } : padding;
  }

  /** x [B, H, W, in] → [B, H', W', out] */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    const { top, bottom, left, right } = this.#padding;
    const centre = (this.#kernel - 1) / 2;
    const same = this.#stride === 1 && [top, bottom, left, right].every((side) => side === centre);
    // With a stride, tfjs's "same" pads 0 and 1 where torch pads 1 and 1, so the zeros are put there by hand.
    const isPadded = !same && top + bottom + left + right > 0;
    const padded = isPadded
      ? tf.pad(x, [
          [0, 0],
          [top, bottom],
          [left, right],
          [0, 0],
        ])
      : x;
    const y = tf.conv2d(padded, this.weight.value, this.#stride, same ? "same" : "valid");
    return this.bias ? tf.add(y, this.bias.value) : y;
  }
}
