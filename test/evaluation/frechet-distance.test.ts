import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { FeatureMoments, type FeatureStatistics } from "../../src/evaluation/feature-moments.ts";
import { frechetDistance } from "../../src/evaluation/frechet-distance.ts";
import { singularValues } from "../../src/evaluation/singular-values.ts";
import { toFloat32 } from "../../src/weights/index.ts";
import { expectedPath, openExpected } from "../helpers/expected.ts";

interface Distances {
  /** pytorch-fid's arithmetic. */
  fid: number;
  /** Without a product of covariances. */
  by_factors: number;
}

const expected = JSON.parse(await readFile(expectedPath("evaluation/expected.json"), "utf8"));
const cases: [string, Distances][] = Object.entries(expected.distances);

async function rowsOf(name: string): Promise<Float32Array[]> {
  const source = await openExpected("evaluation/features.safetensors");
  const { shape, dtype } = source.entries.get(name)!;
  const data = toFloat32(await source.read(name), dtype);
  await source.close();
  const [count, width] = shape as [number, number];
  return Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));
}

function statisticsOf(rows: readonly ArrayLike<number>[]): FeatureStatistics {
  const moments = new FeatureMoments(rows[0]!.length);
  for (const row of rows) moments.add(row);
  return moments.statistics();
}

test.each(cases)("the distance of %s is pytorch-fid's", async (name, { fid, by_factors: exact }) => {
  const [a, b] = [statisticsOf(await rowsOf(`${name}.a`)), statisticsOf(await rowsOf(`${name}.b`))];
  const size = a.covariance.reduce((most, value) => Math.max(most, value), 0);
  for (const distance of [frechetDistance(a, b), frechetDistance(b, a)]) {
    expect(Math.abs(distance - fid)).toBeLessThan(1e-6 * Math.max(fid, size));
    // Where there are fewer pictures than dimensions, the reference loses digits that are kept here.
    expect(Math.abs(distance - exact)).toBeLessThan(1e-9 * Math.max(exact, size));
  }
});

test.each(["high", "wide"])("singular values of a %s matrix are numpy's", async (shape) => {
  const rows = (await rowsOf("matrix")).map((row) => Float64Array.from(row));
  const columns = Array.from(rows[0]!, (_, j) => Float64Array.from(rows, (row) => row[j]!));
  const found = singularValues(shape === "high" ? rows : columns);
  expect(found).toHaveLength(20);
  for (const [i, value] of expected.singular_values.entries()) expect(found[i]).toBeCloseTo(value, 12);
});

test.each([
  ["nothing", [], []],
  ["one number", [[-5]], [5]],
  [
    "zeros",
    [
      [0, 0],
      [0, 0],
      [0, 0],
    ],
    [0, 0],
  ],
  [
    "a diagonal",
    [
      [3, 0, 0],
      [0, -4, 0],
      [0, 0, 2],
    ],
    [4, 3, 2],
  ],
  [
    "a matrix of rank 1",
    [
      [1, 2, 3],
      [2, 4, 6],
      [3, 6, 9],
    ],
    [14, 0, 0],
  ],
  ["one column", [[3], [0], [4]], [5]],
  [
    "numbers whose squares overflow",
    [
      [0, 1e200],
      [1e200, 0],
    ],
    [1e200, 1e200],
  ],
])("singular values of %s", (_, matrix, wanted) => {
  const found = singularValues(matrix.map((row) => Float64Array.from(row)));
  expect(found).toHaveLength(wanted.length);
  for (const [i, value] of wanted.entries()) {
    expect(Math.abs(found[i]! - value)).toBeLessThanOrEqual(1e-14 * (wanted[0] ?? 0));
  }
});

test("features of all one kind have no covariance, and lie apart by their means alone", () => {
  const a = statisticsOf([[1, 2], [1, 2]]); // biome-ignore format: two pictures
  const b = statisticsOf([[4, 6], [4, 6], [4, 6]]); // biome-ignore format: three pictures
  expect(frechetDistance(a, b)).toBe(25);
});

test("wrong features are refused", () => {
  const moments = new FeatureMoments(2);
  expect(() => moments.statistics()).toThrow(/at least 2 pictures; there are none/);
  expect(() => moments.add([1, 2, 3])).toThrow(/has 3 numbers where the others have 2/);
  expect(() => moments.add([1, Number.NaN])).toThrow(/NaN/);
  moments.add([1, 2]);
  expect(() => moments.statistics()).toThrow(/there is 1/);
  expect(() =>
    frechetDistance(
      statisticsOf([[1], [2]]),
      statisticsOf([
        [1, 2],
        [3, 4],
      ]),
    ),
  ).toThrow(/of 1 and of 2/);
});
