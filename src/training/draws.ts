import { TorchCpuGenerator } from "../random/index.ts";

/**
 * The random numbers of one step. They follow from the seed of the training and the number of the step alone, so a run that is
 * resumed draws as one that never stopped, and nothing of it needs to be stored.
 */
export class Draws {
  readonly #generator: TorchCpuGenerator;

  constructor(seed: number, step: number) {
    // An odd multiplier moves neighbouring steps far apart (Knuth, The Art of Computer Programming 3, section 6.4).
    this.#generator = new TorchCpuGenerator((BigInt(seed) * 0x9e3779b1n + BigInt(step) * 0x85ebca6bn) & 0xffffffffn);
  }

  /** Uniform in [0, 1). */
  uniform(count: number): Float32Array<ArrayBuffer> {
    return this.#generator.rand(count);
  }

  /** Standard normal. */
  normal(count: number): Float32Array<ArrayBuffer> {
    return this.#generator.randn(count);
  }

  /** Whole numbers from 0 to below `limit`. */
  below(limit: number, count: number): number[] {
    return Array.from(this.uniform(count), (value) => Math.min(limit - 1, Math.floor(value * limit)));
  }
}
