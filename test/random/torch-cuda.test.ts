import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { type Counter, type Key, philox4x32, TorchCudaGenerator } from "../../src/random/index.ts";
import { expectedPath } from "../helpers/expected.ts";

const expected = JSON.parse(readFileSync(expectedPath("randn/cuda.json"), "utf8"));

interface Draw {
  seed: string;
  gridThreads: number;
  counts: number[];
  calls: number[][];
}

describe("philox4x32", () => {
  test.each(expected.known as { counter: Counter; key: Key; answer: Counter }[])(
    "the authors' known answer $answer",
    ({ counter, key, answer }) => {
      expect(philox4x32(counter, key)).toEqual(answer);
    },
  );

  test("2000 other counters and keys, as exact integers give them", () => {
    const integers = Array.from({ length: 2000 }, (_, i) =>
      philox4x32([i, (i * i) >>> 0, 0xffffffff - i, 7 * i], [3 * i, 0xf0000000 + i]),
    );
    const bytes = new Uint8Array(Uint32Array.from(integers.flat()).buffer);
    expect(createHash("sha256").update(bytes).digest("hex")).toBe(expected.integers);
  });
});

describe("TorchCudaGenerator", () => {
  test.each(expected.randn as Draw[])("calls of $counts numbers on $gridThreads threads, seed $seed", (draw) => {
    const generator = new TorchCudaGenerator(BigInt(draw.seed), { gridThreads: draw.gridThreads });
    draw.counts.forEach((count, call) => {
      const values = generator.randn(count);
      const errors = draw.calls[call]!.map((wanted, i) => Math.abs(values[i]! - wanted));
      expect(values).toHaveLength(count);
      expect(Math.max(...errors)).toBeLessThan(1e-6);
    });
  });

  test("what one launch grid covers is the same on every device whose grid is large enough", () => {
    const a100 = new TorchCudaGenerator(7, { gridThreads: 108 * 2048 });
    expect(new TorchCudaGenerator(7).randn(8 * 96 * 96)).toEqual(a100.randn(8 * 96 * 96));
    const t4 = new TorchCudaGenerator(7, { gridThreads: 40 * 1024 });
    expect(new TorchCudaGenerator(7).randn(8 * 96 * 96)).not.toEqual(t4.randn(8 * 96 * 96));
  });

  test("more than one launch grid covers is refused, unless the device is told", () => {
    expect(() => new TorchCudaGenerator(0).randn(196_609)).toThrow(InputError);
    expect(() => new TorchCudaGenerator(0).randn(196_609)).toThrow("give gridThreads");
    expect(new TorchCudaGenerator(0, { gridThreads: 196_608 }).randn(196_609)).toHaveLength(196_609);
  });

  test.each([0, -256, 100, Number.NaN])("gridThreads of %s are refused", (gridThreads) => {
    expect(() => new TorchCudaGenerator(0, { gridThreads })).toThrow(`gridThreads is ${gridThreads}`);
  });
});
