import { InputError } from "../errors.ts";

/** Mean and covariance of the features of N pictures, D numbers each, in float64. */
export interface FeatureStatistics {
  /** N */
  count: number;
  /** [D] */
  mean: Float64Array;
  /** [D, D], the sample covariance, by N − 1. */
  covariance: Float64Array;
}

/**
 * Adds up mean and covariance feature by feature, so that no more than D² numbers are held however many pictures there are.
 * Welford, "Note on a method for calculating corrected sums of squares and products" (1962): unlike sums of squares, it loses no
 * digits where the mean is large.
 */
export class FeatureMoments {
  /** The first feature, which is taken from each: so the numbers that are added up are small wherever the features lie. */
  #origin: Float64Array | undefined;
  /** Of what is left. */
  readonly #mean: Float64Array;
  /** The sum of products of deviations: its lower half. */
  readonly #products: Float64Array;
  #count = 0;

  constructor(readonly dimensions: number) {
    this.#mean = new Float64Array(dimensions);
    this.#products = new Float64Array(dimensions * dimensions);
  }

  get count(): number {
    return this.#count;
  }

  /** @throws InputError where it is not of D numbers, or one of them is not finite */
  add(feature: ArrayLike<number>): void {
    this.#check(feature);
    this.#origin ??= Float64Array.from(feature);
    const x = this.#origin.map((value, i) => feature[i]! - value);
    const [mean, products, dimensions] = [this.#mean, this.#products, this.dimensions];
    this.#count++;
    const before = new Float64Array(dimensions);
    for (let i = 0; i < dimensions; i++) {
      before[i] = x[i]! - mean[i]!;
      mean[i]! += before[i]! / this.#count;
    }
    for (let i = 0; i < dimensions; i++) {
      const after = x[i]! - mean[i]!;
      for (let j = 0; j <= i; j++) products[i * dimensions + j]! += after * before[j]!;
    }
  }

  /** @throws InputError where there were fewer than two: one picture has no covariance */
  statistics(): FeatureStatistics {
    if (this.#count < 2) {
      throw new InputError(`A covariance needs at least 2 pictures; there ${this.#count === 1 ? "is 1" : "are none"}.`);
    }
    const { dimensions } = this;
    const covariance = this.#products.map((sum) => sum / (this.#count - 1));
    for (let i = 0; i < dimensions; i++) {
      for (let j = 0; j < i; j++) covariance[j * dimensions + i] = covariance[i * dimensions + j]!;
    }
    return { count: this.#count, mean: this.#mean.map((value, i) => value + this.#origin![i]!), covariance };
  }

  #check(feature: ArrayLike<number>): void {
    if (feature.length !== this.dimensions) {
      throw new InputError(`A feature has ${feature.length} numbers where the others have ${this.dimensions}.`);
    }
    for (let i = 0; i < feature.length; i++) {
      if (!Number.isFinite(feature[i]))
        throw new InputError(`A feature holds ${feature[i]}: all numbers must be finite.`);
    }
  }
}
