import * as tf from "@tensorflow/tfjs-core";
import { type ActivationName, activations } from "../ops/activations.ts";
import { padToMultiple } from "../ops/pad.ts";
import { roll } from "../ops/roll.ts";
import { Layer } from "./layer.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Linear } from "./linear.ts";
import { WindowAttention, type WindowAttentionOptions } from "./window-attention.ts";

export interface SwinBlockOptions extends WindowAttentionOptions {
  /** Patches by which the windows are moved. */
  shift: number;
  mlpChannels: number;
  activation: ActivationName;
  /** Added to the variance in the norms. */
  eps: number;
}

/** Norm, attention within (shifted) windows, plus the input; norm, MLP, plus its input (Liu et al. 2021). */
export class SwinBlock extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  static override readonly fileNames = { fc1: "intermediate.dense", fc2: "output.dense" };

  layernormBefore: LayerNorm<tf.Tensor4D>;
  attention: WindowAttention;
  layernormAfter: LayerNorm<tf.Tensor4D>;
  fc1: Linear<tf.Tensor4D>;
  fc2: Linear<tf.Tensor4D>;
  readonly #options: SwinBlockOptions;

  constructor(channels: number, options: SwinBlockOptions) {
    super();
    const { mlpChannels, eps } = options;
    this.layernormBefore = new LayerNorm(channels, { eps });
    this.attention = new WindowAttention(channels, options);
    this.layernormAfter = new LayerNorm(channels, { eps });
    this.fc1 = new Linear(channels, mlpChannels);
    this.fc2 = new Linear(mlpChannels, channels);
    this.#options = options;
  }

  /** x [B, H, W, C] → [B, H, W, C] */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    const h: tf.Tensor4D = tf.add(x, this.#attend(this.layernormBefore.apply(x)));
    const mlp = activations[this.#options.activation](this.fc1.apply(this.layernormAfter.apply(h)));
    return tf.add(h, this.fc2.apply(mlp));
  }

  #attend(x: tf.Tensor4D): tf.Tensor4D {
    const { window } = this.#options;
    const [, height, width, channels] = x.shape;
    // Where one window spans the whole of a side, there is nothing to shift it to.
    const shift = Math.min(height, width) <= window ? 0 : this.#options.shift;

    const padded = padToMultiple(x, window);
    const shifted = roll(roll(padded, -shift, 1), -shift, 2);
    const mask = shift > 0 ? shiftMask(padded.shape[1], padded.shape[2], { window, shift }) : undefined;
    const attended = joinWindows(this.attention.apply(splitWindows(shifted, window), mask), padded.shape, window);
    return tf.slice(roll(roll(attended, shift, 1), shift, 2), [0, 0, 0, 0], [-1, height, width, channels]);
  }
}

/** x [B, H, W, C] → the windows, row by row, [B · K, M, C] */
function splitWindows(x: tf.Tensor4D, window: number): tf.Tensor3D {
  const [batch, height, width, channels] = x.shape;
  // Four axes are enough, since the windows of all pictures stand below each other.
  const rows = tf.reshape(x, [(batch * height) / window, window, width / window, window * channels]);
  return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [-1, window ** 2, channels]);
}

/** The inverse of splitWindows. */
function joinWindows(windows: tf.Tensor3D, shape: tf.Tensor4D["shape"], window: number): tf.Tensor4D {
  const [batch, height, width, channels] = shape;
  const columns = tf.reshape(windows, [(batch * height) / window, width / window, window, window * channels]);
  return tf.reshape(tf.transpose(columns, [0, 2, 1, 3]), shape);
}

/**
 * After the shift, the windows at the bottom and at the right hold patches that are no neighbours. Those must not see each
 * other: a bias of −100 for the scores, [K, M, M], as transformers and the paper's code have it.
 */
function shiftMask(height: number, width: number, { window, shift }: { window: number; shift: number }): tf.Tensor3D {
  const strip = (place: number, length: number) => (place < length - window ? 0 : place < length - shift ? 1 : 2);
  const patches = window ** 2;
  const mask = new Float32Array(height * width * patches);
  let index = 0;
  for (let top = 0; top < height; top += window) {
    for (let left = 0; left < width; left += window) {
      const regions = Array.from({ length: patches }, (_, patch) => {
        const [row, column] = [top + Math.floor(patch / window), left + (patch % window)];
        return 3 * strip(row, height) + strip(column, width);
      });
      for (const a of regions) for (const b of regions) mask[index++] = a === b ? 0 : -100;
    }
  }
  return tf.tensor3d(mask, [(height * width) / patches, patches, patches]);
}
