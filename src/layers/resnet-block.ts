import * as tf from "@tensorflow/tfjs-core";
import { silu } from "../ops/activations.ts";
import { Conv2d } from "./conv2d.ts";
import { GroupNorm } from "./group-norm.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";

export interface ResnetBlockOptions {
  /** Channels of the time embedding; undefined where the block is told no time, as in an autoencoder. */
  tembChannels: number | undefined;
  groups: number;
  eps: number;
  /** How the time enters: added before the second norm, or as a scale and a shift after it (Dhariwal & Nichol 2021). */
  timeScaleShift?: "default" | "scale_shift";
  /** The sum of both branches is divided by it. */
  outputScaleFactor?: number;
}

/**
 * Norm, silu, convolution, plus the time, norm, silu, convolution, plus the input (He et al. 2016, as in Ho et al. 2020).
 * diffusers' ResnetBlock2D.
 *
 * B batch, H W height and width, T channels of the time embedding.
 */
export class ResnetBlock extends Layer<[x: tf.Tensor4D, temb?: tf.Tensor2D | undefined], tf.Tensor4D> {
  norm1: GroupNorm;
  conv1: Conv2d;
  timeEmbProj?: Linear<tf.Tensor2D>;
  norm2: GroupNorm;
  conv2: Conv2d;
  convShortcut?: Conv2d; // only where the channel count changes
  readonly #timeScaleShift: "default" | "scale_shift";
  readonly #outputScaleFactor: number;

  constructor(
    inChannels: number,
    outChannels: number,
    { tembChannels, groups, eps, timeScaleShift = "default", outputScaleFactor = 1 }: ResnetBlockOptions,
  ) {
    super();
    this.norm1 = new GroupNorm(groups, inChannels, { eps });
    this.conv1 = new Conv2d(inChannels, outChannels, { kernel: 3, padding: 1 });
    if (tembChannels !== undefined) {
      this.timeEmbProj = new Linear(tembChannels, timeScaleShift === "scale_shift" ? 2 * outChannels : outChannels);
    }
    this.norm2 = new GroupNorm(groups, outChannels, { eps });
    this.conv2 = new Conv2d(outChannels, outChannels, { kernel: 3, padding: 1 });
    if (inChannels !== outChannels) this.convShortcut = new Conv2d(inChannels, outChannels, { kernel: 1 });
    this.#timeScaleShift = timeScaleShift;
    this.#outputScaleFactor = outputScaleFactor;
  }

  /** x [B, H, W, in], temb [B, T] where the block has time channels → [B, H, W, out] */
  protected override forward(x: tf.Tensor4D, temb?: tf.Tensor2D): tf.Tensor4D {
    // Each half in a tidy of its own: at 768 × 768 an activation of an autoencoder takes 600 MB.
    const h = tf.tidy(() => this.conv1.apply(silu(this.norm1.apply(x)))); // [B, H, W, out]
    const residual = tf.tidy(() => this.conv2.apply(silu(this.#normWithTime(h, temb))));
    const sum = tf.add(this.convShortcut?.apply(x) ?? x, residual) as tf.Tensor4D;
    return this.#outputScaleFactor === 1 ? sum : tf.div(sum, this.#outputScaleFactor);
  }

  #normWithTime(h: tf.Tensor4D, temb: tf.Tensor2D | undefined): tf.Tensor4D {
    if (!this.timeEmbProj) return this.norm2.apply(h);
    if (!temb) throw new Error("This ResnetBlock has time channels: it needs a time embedding.");
    const time = tf.reshape(this.timeEmbProj.apply(silu(temb)), [temb.shape[0], 1, 1, -1]); // [B, 1, 1, out or 2·out]
    if (this.#timeScaleShift === "default") return this.norm2.apply(tf.add(h, time));
    const [scale, shift] = tf.split(time, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
    return tf.add(tf.mul(this.norm2.apply(h), tf.add(scale, 1)), shift);
  }
}
