import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { TorchCpuGenerator } from "../../src/random/index.ts";
import { assignNoise, minimalAssignment } from "../../src/training/index.ts";
import { expectedPath } from "../helpers/expected.ts";
import { numbers } from "../helpers/formula.ts";

test("an assignment costs as little as the best of all", async () => {
  const least = JSON.parse(await readFile(expectedPath("training/assignments.json"), "utf8")) as number[];
  for (const [i, wanted] of least.entries()) {
    const n = i + 1;
    const drawn = (await numbers(`costs.${n}`, n, n).array()) as number[][];
    const costs = n % 2 === 0 ? drawn.map((row) => row.map((cost) => Math.round(cost * 3))) : drawn;
    const columns = minimalAssignment(costs);
    expect(columns.toSorted()).toEqual(Array.from({ length: n }, (_, j) => j));
    const total = columns.reduce((sum, column, row) => sum + costs[row]![column]!, 0);
    expect(total).toBeCloseTo(wanted, 5);
  }
});

test("no exchange of two makes a larger assignment cheaper", () => {
  const n = 64;
  const values = new TorchCpuGenerator(3).rand(n * n);
  const costs = Array.from({ length: n }, (_, i) => [...values.subarray(i * n, (i + 1) * n)]);
  const columns = minimalAssignment(costs);
  expect(new Set(columns).size).toBe(n);
  for (let a = 0; a < n; a++) {
    for (let b = 0; b < a; b++) {
      const now = costs[a]![columns[a]!]! + costs[b]![columns[b]!]!;
      const exchanged = costs[a]![columns[b]!]! + costs[b]![columns[a]!]!;
      expect(now).toBeLessThanOrEqual(exchanged + 1e-9);
    }
  }
});

test("every picture gets noise that is near, and all noise is used", () => {
  const latents = Float32Array.of(0, 0, 5, 5, -3, 2);
  const noise = Float32Array.of(-2, 2, 1, -1, 4, 4);
  expect([...assignNoise(latents, noise, 3)]).toEqual([1, -1, 4, 4, -2, 2]);
});
