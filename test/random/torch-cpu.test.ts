import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { type Seed, TorchCpuGenerator } from "../../src/random/index.ts";
import { expectedPath } from "../helpers/expected.ts";

const expected = JSON.parse(readFileSync(expectedPath("randn/cpu.json"), "utf8"));

function sha256(...arrays: Float32Array[]): string {
  const hash = createHash("sha256");
  for (const array of arrays) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return hash.digest("hex");
}

function entries<T>(record: Record<string, T>): [string, T][] {
  return Object.entries(record);
}

describe("TorchCpuGenerator gives torch's numbers bit for bit", () => {
  test.each(entries<number[]>(expected.values))("%s numbers", (count, values) => {
    expect([...new TorchCpuGenerator(42).randn(Number(count))]).toEqual(values);
  });

  test.each(entries<string[]>(expected.continued))("calls of mixed sizes on one generator, seed %s", (seed, hashes) => {
    const generator = new TorchCpuGenerator(BigInt(seed));
    expect(expected.sizes.map((size: number) => sha256(generator.randn(size)))).toEqual(hashes);
  });

  test.each(entries<string>(expected.everySize))("every size from 0 to 200, seed %s", (seed, hash) => {
    const calls = Array.from({ length: 201 }, (_, size) => new TorchCpuGenerator(BigInt(seed)).randn(size));
    expect(sha256(...calls)).toBe(hash);
  });

  test.each(entries<string>(expected.million))("a million, seed %s", (seed, hash) => {
    expect(sha256(new TorchCpuGenerator(BigInt(seed)).randn(2 ** 20))).toBe(hash);
  });

  test("150,000 in calls of 15, which are drawn in double precision one at a time", () => {
    const generator = new TorchCpuGenerator(7);
    const calls = Array.from({ length: expected.oneAtATime.count / 15 }, () => generator.randn(15));
    expect(sha256(...calls)).toBe(expected.oneAtATime[7]);
  });

  test("uniform ones", () => {
    expect([...new TorchCpuGenerator(42).rand(20)]).toEqual(expected.uniform);
  });
});

describe("seeds", () => {
  test("numbers and bigints are the same seeds, and only the low 32 bits count", () => {
    const draw = (seed: Seed) => [...new TorchCpuGenerator(seed).randn(16)];
    expect(draw(-42)).toEqual(draw(-42n));
    expect(draw(2 ** 32 + 5)).toEqual(draw(5n));
    expect(draw(-1)).toEqual(draw(2n ** 64n - 1n));
    expect(draw(6)).not.toEqual(draw(5));
  });

  const wrong = [1.5, Number.NaN, Infinity, 2 ** 53, "1", true, undefined, 2n ** 64n, -(2n ** 63n) - 1n] as Seed[];
  test.each(wrong)("%s is refused", (seed) => {
    expect(() => new TorchCpuGenerator(seed)).toThrow(InputError);
    expect(() => new TorchCpuGenerator(seed)).toThrow(`The seed ${seed} is`);
  });

  test.each([-1, 1.5, Number.NaN])("a count of %s is refused", (count) => {
    expect(() => new TorchCpuGenerator(0).randn(count)).toThrow(`Cannot draw ${count} numbers`);
  });
});
