import { describe, expect, test } from "vitest";
import { Buckets } from "../../src/training/index.ts";

const sizes = [
  [64, 64],
  [80, 48],
  [48, 80],
] as const;
/** Shapes that are not those of the buckets: 40 squarish, 13 wide, 3 tall. */
const shapes = [...Array(40).fill([100, 95]), ...Array(13).fill([300, 200]), ...Array(3).fill([20, 200])];
const dataset = { length: shapes.length, sizeOf: (i: number) => shapes[i] as [number, number] };
const options = { sizes, batch: 8, seed: 5 };

describe("buckets", () => {
  test("take each picture to the nearest shape", () => {
    expect(new Buckets(dataset, options).counts).toEqual([40, 13, 3]);
    const between = {
      length: 2,
      sizeOf: (i: number) =>
        (
          [
            [130, 100],
            [128, 100],
          ] as const
        )[i]!,
    };
    expect(new Buckets(between, options).counts).toEqual([1, 1, 0]); // the border is at √(80 / 48), 1.291
  });

  test("make batches of one shape, with every picture as often as every other", () => {
    const buckets = new Buckets(dataset, options);
    const seen = shapes.map(() => 0);
    const epochs = 8; // the batch is 8 pictures, so after 8 epochs nothing is carried over
    for (let index = 0; index < (epochs * shapes.length) / 8; index++) {
      const { size, indices } = buckets.batch(index);
      expect(indices).toHaveLength(8);
      for (const i of indices) {
        expect(size).toBe(i < 40 ? sizes[0] : i < 53 ? sizes[1] : sizes[2]);
        seen[i]!++;
      }
    }
    expect(seen).toEqual(shapes.map(() => epochs));
  });

  test("bring all pictures of a bucket before any comes a second time", () => {
    const buckets = new Buckets({ length: 40, sizeOf: () => [64, 64] }, options);
    const first = [0, 1, 2, 3, 4].flatMap((index) => buckets.batch(index).indices);
    const second = [5, 6, 7, 8, 9].flatMap((index) => buckets.batch(index).indices);
    const ascending = (numbers: number[]) => numbers.toSorted((a, b) => a - b);
    expect(ascending(first)).toEqual(ascending(second));
    expect(first).not.toEqual(second);
    expect(new Set(first).size).toBe(40);
  });

  test("need no state: a batch is the same whichever was asked for before", () => {
    const [there, here] = [new Buckets(dataset, options), new Buckets(dataset, options)];
    const batches = Array.from({ length: 60 }, (_, i) => there.batch(i));
    for (const i of [59, 3, 40, 0]) expect(here.batch(i)).toEqual(batches[i]);
    expect(new Buckets(dataset, { ...options, seed: 6 }).batch(0)).not.toEqual(batches[0]);
  });

  test("fill a batch that is larger than the dataset", () => {
    const { indices } = new Buckets({ length: 3, sizeOf: () => [64, 64] }, options).batch(0);
    expect(indices).toHaveLength(8);
    for (const i of [0, 1, 2]) expect(indices.filter((index) => index === i).length).toBeGreaterThanOrEqual(2);
  });
});
