/** How much of the average before stays at each step. */
const kept = 0.95;

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

/** The mean around each of some values, of a fiftieth of all to either side, and of fewer near the ends. */
export function smoothed(values: readonly number[]): number[] {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1)! + value);
  const most = Math.ceil(values.length / 50);
  return values.map((_, i) => {
    const reach = Math.min(most, i, values.length - 1 - i); // as far to both sides, or the mean would lag
    return (sums[i + reach + 1]! - sums[i - reach]!) / (2 * reach + 1);
  });
}
