import type { Tensor } from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";

/** How a model's noise is taken away, as its `scheduler_config.json` says. It has no state: samplers have. */
export interface Scheduler {
  /** The name that `openScheduler` knows it by. */
  readonly name: string;
  /**
   * The way from noise to picture in `steps` steps. Each picture, or batch of pictures, takes its own sampler.
   * @throws InputError where the steps are no whole number, or more than the training steps
   */
  sampler(steps: number): Sampler;
}

/** One way from noise to picture. Tensors are latents, of any one layout; each call runs in a tidy. */
export interface Sampler {
  /** What the UNet is given at each step, in training steps (0–999 for most models), falling. */
  readonly timesteps: readonly number[];

  /** By what the first noise, of standard deviation 1, is multiplied. */
  readonly initNoiseSigma: number;

  /** What the UNet is given of the latents at `timestep`. */
  scaleModelInput<T extends Tensor>(sample: T, timestep: number): T;

  /** The latents of the next, less noisy timestep. Steps are taken in the order of `timesteps`. */
  step<T extends Tensor>(step: Step<T>): T;

  /** Latents without noise as they would be at `timestep`, with this noise. */
  addNoise<T extends Tensor>(original: T, noise: T, timestep: number): T;
}

/** One step of a sampler. */
export interface Step<T extends Tensor = Tensor> {
  /** The UNet's prediction, after guidance. */
  modelOutput: T;
  timestep: number;
  sample: T;
  /** η of DDIM, from 0 (the default: no noise is added) to 1 (as much as DDPM adds). */
  eta?: number | undefined;
  /** DDIM: derive the direction to the next latents from the clipped picture, as Glide does. By default it is not. */
  useClippedModelOutput?: boolean | undefined;
  /**
   * Draws noise of the sample's shape and standard deviation 1, for picture i of a batch from generator i. It is called
   * once in every step whose eta is over 0, the last included, so that a generator goes on as PyTorch's does.
   */
  noise?: (() => T) | undefined;
}

/**
 * At which of `steps` steps image-to-image begins: 0 for strength 1, later for less, as in diffusers' `get_timesteps`.
 * @throws InputError where strength is not from 0 to 1, or so small that no step is left
 */
export function startStep(steps: number, strength: number): number {
  if (!(strength >= 0 && strength <= 1)) {
    throw new InputError(`The strength is ${strength}: it must be from 0 (the picture as it is) to 1 (all of it new).`);
  }
  const left = Math.trunc(steps * strength);
  if (left < 1) {
    throw new InputError(
      `A strength of ${strength} leaves none of ${steps} steps to take: raise the strength or the steps.`,
    );
  }
  return steps - left;
}
