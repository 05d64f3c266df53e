import * as tf from "@tensorflow/tfjs-core";
import { silu } from "../ops/activations.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";

export interface TimestepsOptions {
  /** Whether the cosines stand before the sines. */
  flipSinToCos: boolean;
  /** What is taken from the number of frequencies: 0 ends just above the lowest frequency, 1/10000, and 1 at it. */
  freqShift: number;
}

/** Numbers as sines and cosines of many frequencies (Vaswani et al. 2017; Ho et al. 2020). It has no weights. */
export class Timesteps extends Layer<[timesteps: readonly number[]], tf.Tensor2D> {
  readonly #channels: number;
  readonly #options: TimestepsOptions;

  constructor(channels: number, options: TimestepsOptions) {
    super();
    this.#channels = channels;
    this.#options = options;
  }

  /** B numbers, whole or not → [B, C] */
  protected override forward(timesteps: readonly number[]): tf.Tensor2D {
    const rows = timesteps.map((timestep) => sinusoid(timestep, this.#channels, this.#options));
    return tf.tensor2d(rows.flat(), [timesteps.length, this.#channels]);
  }
}

/**
 * Every step is rounded to single precision, as in PyTorch: at t = 999 the last bit of a frequency moves its angle by
 * 6e-5. Backends could not be trusted with it, since some have no sine for large angles.
 */
function sinusoid(timestep: number, channels: number, { flipSinToCos, freqShift }: TimestepsOptions): number[] {
  const f = Math.fround;
  const half = Math.floor(channels / 2);
  const exponents = Array.from({ length: half }, (_, i) => f(f(f(-Math.log(10000)) * i) / f(half - freqShift)));
  const angles = exponents.map((exponent) => f(f(timestep) * f(Math.exp(exponent))));
  const [sines, cosines] = [angles.map(Math.sin), angles.map(Math.cos)];
  const zero = channels % 2 === 1 ? [0] : [];
  return flipSinToCos ? [...cosines, ...sines, ...zero] : [...sines, ...cosines, ...zero];
}

/**
 * Linear, silu, linear: from the sinusoid of a time step to the embedding that the blocks are told. B batch.
 * diffusers' TimestepEmbedding.
 */
export class TimestepEmbedding extends Layer<[x: tf.Tensor2D, condition?: tf.Tensor2D | undefined], tf.Tensor2D> {
  static override readonly fileNames = { linear1: "linear_1", linear2: "linear_2" };

  linear1: Linear<tf.Tensor2D>;
  condProj?: Linear<tf.Tensor2D>;
  linear2: Linear<tf.Tensor2D>;

  /** @param conditionChannels of a second input, as the guidance scale of a distilled model (Meng et al. 2023) */
  constructor(
    inChannels: number,
    outChannels: number,
    { conditionChannels }: { conditionChannels?: number | undefined } = {},
  ) {
    super();
    this.linear1 = new Linear(inChannels, outChannels);
    if (conditionChannels !== undefined) this.condProj = new Linear(conditionChannels, inChannels, { bias: false });
    this.linear2 = new Linear(outChannels, outChannels);
  }

  /** x [B, in], condition [B, conditionChannels] → [B, out] */
  protected override forward(x: tf.Tensor2D, condition?: tf.Tensor2D): tf.Tensor2D {
    const h: tf.Tensor2D = this.condProj && condition ? tf.add(x, this.condProj.apply(condition)) : x;
    return this.linear2.apply(silu(this.linear1.apply(h)));
  }
}
