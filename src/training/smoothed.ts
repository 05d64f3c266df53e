/** How much of the average before stays at each step. */
const kept = 0.98;

/** A moving average, which counts its first values as much as it has of them (Kingma and Ba 2015, section 3). */
export class MovingAverage {
  #sum = 0;
  #weight = 0;

  /** The average with another value. */
  add(value: number): number {
    this.#sum = kept * this.#sum + (1 - kept) * value;
    this.#weight = kept * this.#weight + (1 - kept);
    return this.#sum / this.#weight;
  }
}

/** The moving average up to each of some values. */
export function smoothed(values: readonly number[]): number[] {
  const average = new MovingAverage();
  return values.map((value) => average.add(value));
}
