import { checkPicture, type Picture } from "./picture.ts";

/** Pillow's resampling filters, in the order of its numbers: `resampleFilters[3]` is "bicubic". */
export const resampleFilters = ["nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"] as const;
export type ResampleFilter = (typeof resampleFilters)[number];

/**
 * Resizes as Pillow does, bit for bit (its Resample.c, for 8 bits a channel): first across, then down, with weights of 22
 * bits after the point and 8-bit pixels between the two. Shrinking widens the filter, so it is antialiased.
 * @param size of the result, in pixels
 */
export function resize(picture: Picture, size: { width: number; height: number; filter: ResampleFilter }): Picture {
  checkPicture(picture);
  const { width, height, filter } = size;
  const across = resample(picture.data, { outer: picture.height, inner: 3 }, taps(picture.width, width, filter));
  const data = resample(across, { outer: 1, inner: width * 3 }, taps(picture.height, height, filter));
  return { width, height, data };
}

/** For each place of the result: the first place of the source that it is made of, and the weights from there on. */
interface Taps {
  sourceSize: number;
  places: readonly { first: number; weights: Int32Array }[];
}

const precision = 32 - 8 - 2;
const half = 1 << (precision - 1);

/** Resamples the middle axis of [outer, source, inner]. */
function resample(
  source: Uint8Array,
  { outer, inner }: { outer: number; inner: number },
  { sourceSize, places }: Taps,
): Uint8Array {
  const result = new Uint8ClampedArray(outer * places.length * inner);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const { first, weights } of places) {
      const from = (o * sourceSize + first) * inner;
      for (let i = 0; i < inner; i++) {
        let sum = half;
        for (let k = 0; k < weights.length; k++) sum += source[from + k * inner + i]! * weights[k]!;
        result[to++] = sum >> precision;
      }
    }
  }
  return new Uint8Array(result.buffer);
}

function taps(sourceSize: number, size: number, filter: ResampleFilter): Taps {
  if (size === sourceSize || filter === "nearest") return nearest(sourceSize, size);
  const { support, weight } = kernels[filter];
  const scale = sourceSize / size;
  const stretch = Math.max(scale, 1);
  const places = Array.from({ length: size }, (_, place) => {
    const center = (place + 0.5) * scale;
    const first = Math.max(Math.trunc(center - support * stretch + 0.5), 0);
    const end = Math.min(Math.trunc(center + support * stretch + 0.5), sourceSize);
    const inverse = 1 / stretch;
    const weights = Array.from({ length: end - first }, (_, k) => weight((k + first - center + 0.5) * inverse));
    return { first, weights: fixedPoint(weights) };
  });
  return { sourceSize, places };
}

/** The weights divided by their sum, as whole multiples of 2⁻²², halves away from zero. */
function fixedPoint(weights: readonly number[]): Int32Array {
  const sum = weights.reduce((a, b) => a + b, 0);
  const shares = sum === 0 ? weights : weights.map((weight) => weight / sum);
  return Int32Array.from(shares, (share) => Math.trunc(share * (1 << precision) + (share < 0 ? -0.5 : 0.5)));
}

function nearest(sourceSize: number, size: number): Taps {
  const weights = Int32Array.of(1 << precision);
  const scale = sourceSize / size;
  let center = scale / 2; // summed up place by place, as Pillow does: a product would round differently
  const places = Array.from({ length: size }, () => {
    const first = Math.floor(center);
    center += scale;
    return { first, weights };
  });
  return { sourceSize, places };
}

const kernels = {
  box: { support: 0.5, weight: (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x: number) => Math.max(1 - Math.abs(x), 0) },
  hamming: { support: 1, weight: hamming },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** Keys 1981, with a = −½. */
function bicubic(distance: number): number {
  const a = -0.5;
  const x = Math.abs(distance);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function hamming(distance: number): number {
  const x = Math.abs(distance);
  if (x >= 1) return 0;
  // Pillow writes these two as float32.
  return sinc(x) * (Math.fround(0.54) + Math.fround(0.46) * Math.cos(x * Math.PI));
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}
