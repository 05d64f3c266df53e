import * as tf from "@tensorflow/tfjs-core";
import { ConfigError, InputError } from "../errors.ts";
import type { DdimConfig } from "./ddim-config.ts";
import { alphasCumprod } from "./noise-schedule.ts";
import type { Sampler, Scheduler, Step } from "./scheduler.ts";
import { spacedTimesteps } from "./timesteps.ts";

const { fround, sqrt } = Math;

/**
 * Song, Meng and Ermon, "Denoising diffusion implicit models" (2020), with the numbers of diffusers' DDIMScheduler: its
 * coefficients are float32, so each is rounded here where it is there.
 */
export class DdimScheduler implements Scheduler {
  readonly name = "ddim";
  readonly config: DdimConfig;
  /** ᾱ of every training step; the paper calls it α. */
  readonly alphasCumprod: Float32Array;

  constructor(config: DdimConfig) {
    this.config = config;
    this.alphasCumprod = alphasCumprod(config);
  }

  sampler(steps: number): DdimSampler {
    return new DdimSampler(this, steps);
  }
}

export class DdimSampler implements Sampler {
  readonly timesteps: readonly number[];
  readonly initNoiseSigma = 1;
  private readonly scheduler: DdimScheduler;
  private readonly stride: number;

  /** @throws ConfigError where the noise is predicted and a timestep is all noise, from which no picture can be told */
  constructor(scheduler: DdimScheduler, steps: number) {
    const { config } = scheduler;
    this.scheduler = scheduler;
    this.timesteps = spacedTimesteps(steps, config);
    this.stride = Math.floor(config.trainTimesteps / steps);
    const first = this.timesteps[0]!;
    if (config.predictionType === "epsilon" && scheduler.alphasCumprod[first] === 0) {
      throw new ConfigError(
        `prediction_type "epsilon" does not go with rescale_betas_zero_snr at timestep ${first}, where nothing but noise ` +
          'is left: set timestep_spacing to "leading", or prediction_type to what the model predicts.',
      );
    }
  }

  scaleModelInput<T extends tf.Tensor>(sample: T): T {
    return sample;
  }

  /**
   * Equation 12 of the paper, with σ of equation 16.
   * @throws InputError where the timestep is none of training, eta is not from 0 to 1, or noise is needed and not given
   */
  step<T extends tf.Tensor>(step: Step<T>): T {
    const { timestep, sample, eta = 0, noise, useClippedModelOutput = false } = step;
    if (!(eta >= 0 && eta <= 1)) throw new InputError(`eta is ${eta}: it must be from 0 to 1.`);
    if (eta > 0 && !noise) throw new InputError(`eta is ${eta}, so every step adds noise, but none was given.`);
    const alpha = this.alphaAt(timestep);
    const alphaPrevious = this.alphaBefore(timestep);
    const beta = fround(1 - alpha);
    const betaPrevious = fround(1 - alphaPrevious);
    const variance = fround(fround(betaPrevious / beta) * fround(1 - fround(alpha / alphaPrevious)));
    const sigma = fround(fround(eta) * fround(sqrt(variance)));
    // The whole variance may be sigma's, and rounding must not take more than all: diffusers gives NaN there.
    const direction = fround(sqrt(Math.max(0, fround(betaPrevious - fround(sigma * sigma)))));

    return tf.tidy(() => {
      const predicted = this.predict(step, alpha, beta);
      const original = this.confine(predicted.original);
      const epsilon = useClippedModelOutput ? noiseBetween(sample, original, alpha, beta) : predicted.epsilon;
      const previous = tf.add<T>(tf.mul(original, fround(sqrt(alphaPrevious))), tf.mul(epsilon, direction));
      return eta > 0 ? tf.add<T>(previous, tf.mul(noise!(), sigma)) : previous;
    });
  }

  addNoise<T extends tf.Tensor>(original: T, noise: T, timestep: number): T {
    const alpha = this.alphaAt(timestep);
    const [signal, scale] = [fround(sqrt(alpha)), fround(sqrt(fround(1 - alpha)))];
    return tf.tidy(() => tf.add<T>(tf.mul(original, signal), tf.mul(noise, scale)));
  }

  private alphaAt(timestep: number): number {
    const alpha = this.scheduler.alphasCumprod[timestep];
    if (alpha === undefined) {
      const last = this.scheduler.config.trainTimesteps - 1;
      throw new InputError(`The timestep is ${timestep}: it must be a whole number from 0 to ${last}.`);
    }
    return alpha;
  }

  /**
   * One stride before, whatever the spacing: where it does not divide the training steps, not quite the next timestep.
   */
  private alphaBefore(timestep: number): number {
    const { alphasCumprod, config } = this.scheduler;
    const previous = timestep - this.stride;
    if (previous >= 0) return alphasCumprod[previous]!;
    return config.setAlphaToOne ? 1 : alphasCumprod[0]!;
  }

  /** The picture without noise, and the noise: what the UNet's prediction says of both. */
  private predict<T extends tf.Tensor>({ modelOutput, sample }: Step<T>, alpha: number, beta: number) {
    const [signal, scale] = [fround(sqrt(alpha)), fround(sqrt(beta))];
    switch (this.scheduler.config.predictionType) {
      case "epsilon":
        return {
          original: tf.div<T>(tf.sub(sample, tf.mul(modelOutput, scale)), signal),
          epsilon: modelOutput,
        };
      case "v_prediction":
        return {
          original: tf.sub<T>(tf.mul(sample, signal), tf.mul(modelOutput, scale)),
          epsilon: tf.add<T>(tf.mul(modelOutput, signal), tf.mul(sample, scale)),
        };
      case "sample":
        return { original: modelOutput, epsilon: noiseBetween(sample, modelOutput, alpha, beta) };
    }
  }

  /** Thresholds or clips a predicted picture, where the config says so. */
  private confine<T extends tf.Tensor>(original: T): T {
    const { thresholding, clipSampleRange } = this.scheduler.config;
    if (thresholding) return threshold(original, thresholding.ratio, thresholding.sampleMaxValue);
    if (clipSampleRange !== undefined) return tf.clipByValue(original, -clipSampleRange, clipSampleRange);
    return original;
  }
}

/** The noise that makes `sample` of the picture `original`. */
function noiseBetween<T extends tf.Tensor>(sample: T, original: T, alpha: number, beta: number): T {
  return tf.div<T>(tf.sub(sample, tf.mul(original, fround(sqrt(alpha)))), fround(sqrt(beta)));
}

/**
 * Dynamic thresholding of Saharia et al., "Photorealistic text-to-image diffusion models with deep language
 * understanding" (2022): each picture of the batch is clipped to the `ratio` quantile s of its magnitudes, and divided
 * by s.
 */
function threshold<T extends tf.Tensor>(original: T, ratio: number, sampleMaxValue: number): T {
  const batch = original.shape[0]!;
  const magnitudes = tf.abs<tf.Tensor2D>(tf.reshape(original, [batch, -1])); // [B, n]
  const s = tf.minimum(tf.maximum(quantile(magnitudes, ratio), 1), sampleMaxValue); // [B]
  const limit = tf.reshape(s, [batch, ...original.shape.slice(1).map(() => 1)]);
  return tf.div<T>(tf.minimum(tf.maximum(original, tf.neg(limit)), limit), limit);
}

/** `torch.quantile(x, ratio, dim=1)`, between two neighbours by linear interpolation. x [B, n] → [B] */
function quantile(x: tf.Tensor2D, ratio: number): tf.Tensor1D {
  const n = x.shape[1];
  const rank = fround(fround(ratio) * (n - 1));
  const below = Math.floor(rank);
  const largest = tf.topk(x, n - below).values; // falling, so the last is the one of rank `below`
  const at = (r: number) => tf.squeeze<tf.Tensor1D>(tf.slice(largest, [0, n - 1 - r], [-1, 1]), [1]);
  const low = at(below);
  return tf.add(low, tf.mul(tf.sub(at(Math.ceil(rank)), low), rank - below));
}
