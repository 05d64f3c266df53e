import { InputError } from "../errors.ts";
import type { Picture } from "../image/index.ts";

/** What pictures look like, without any model: values are 0…1. */
export interface PixelStatistics {
  count: number;
  /** Of red, green and blue, over all pixels. */
  mean: number[];
  std: number[];
  /**
   * The mean square of the Haar wavelet coefficients: a level each, from the finest, and in it details across, down and in both
   * directions. A picture that is blurred, or has noise, shows in the first.
   */
  wavelet: number[][];
}

/** How far the statistics of two sets of pictures lie apart. */
export interface StatisticsDistance {
  /** Root mean square of the differences of the channels. */
  mean: number;
  std: number;
  /** Root mean square over the bands of the ratio of their energies, in decibels. */
  wavelet: number;
}

interface Sum {
  sum: number;
  squares: number;
  count: number;
}

/** Adds up statistics picture by picture. Pictures may have several sizes. */
export class PictureMoments {
  #count = 0;
  readonly #channels: Sum[] = [0, 1, 2].map(() => ({ sum: 0, squares: 0, count: 0 }));
  readonly #bands: Sum[][] = [];

  add({ width, height, data }: Picture): void {
    this.#count++;
    for (const [c, sum] of this.#channels.entries()) {
      const values = Float64Array.from({ length: width * height }, (_, i) => data[3 * i + c]! / 255);
      addTo(sum, values);
      let rest: Plane = { width, height, values };
      for (let level = 0; rest.width % 2 === 0 && rest.height % 2 === 0; level++) {
        const { coarse, details } = haar(rest);
        this.#bands[level] ??= details.map(() => ({ sum: 0, squares: 0, count: 0 }));
        for (const [band, detail] of details.entries()) addTo(this.#bands[level]![band]!, detail);
        rest = coarse;
      }
    }
  }

  /** @throws InputError where there were no pictures */
  statistics(): PixelStatistics {
    if (this.#count === 0) throw new InputError("There are no pictures, so they have no statistics.");
    const mean = this.#channels.map(({ sum, count }) => sum / count);
    return {
      count: this.#count,
      mean,
      std: this.#channels.map(({ squares, count }, c) => Math.sqrt(Math.max(0, squares / count - mean[c]! ** 2))),
      wavelet: this.#bands.map((level) => level.map(({ squares, count }) => squares / count)),
    };
  }
}

/** Rounding to 8 bits alone gives every band about this energy, so nothing below is compared. */
const leastEnergy = 1 / (12 * 255 ** 2);

/** Over the levels that both have. */
export function statisticsDistance(a: PixelStatistics, b: PixelStatistics): StatisticsDistance {
  const energies = (of: PixelStatistics) => of.wavelet.slice(0, Math.min(a.wavelet.length, b.wavelet.length)).flat();
  const decibels = (of: PixelStatistics) =>
    energies(of).map((energy) => 10 * Math.log10(Math.max(energy, leastEnergy)));
  return {
    mean: rootMeanSquare(a.mean, b.mean),
    std: rootMeanSquare(a.std, b.std),
    wavelet: rootMeanSquare(decibels(a), decibels(b)),
  };
}

function rootMeanSquare(a: readonly number[], b: readonly number[]): number {
  if (a.length === 0) return 0;
  return Math.sqrt(a.reduce((sum, value, i) => sum + (value - b[i]!) ** 2, 0) / a.length);
}

interface Plane {
  width: number;
  height: number;
  values: Float64Array;
}

/** One level of Haar's transform (Haar 1910; Mallat 1989), orthonormal, of even sides. */
function haar({ width, height, values }: Plane): { coarse: Plane; details: Float64Array[] } {
  const [w, h] = [width / 2, height / 2];
  const [coarse, across, down, both] = [0, 1, 2, 3].map(() => new Float64Array(w * h)) as [
    ...[Float64Array, Float64Array, Float64Array, Float64Array],
  ];
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = 2 * y * width + 2 * x;
      const [a, b, c, d] = [values[i]!, values[i + 1]!, values[i + width]!, values[i + width + 1]!];
      const at = y * w + x;
      coarse[at] = (a + b + c + d) / 2;
      across[at] = (a - b + c - d) / 2;
      down[at] = (a + b - c - d) / 2;
      both[at] = (a - b - c + d) / 2;
    }
  }
  return { coarse: { width: w, height: h, values: coarse }, details: [across, down, both] };
}

function addTo(sum: Sum, values: Float64Array): void {
  sum.count += values.length;
  for (const value of values) {
    sum.sum += value;
    sum.squares += value ** 2;
  }
}
