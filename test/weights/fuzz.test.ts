import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import { decodeSafetensors, openSafetensors, openShards, toFloat32 } from "../../src/weights/index.ts";
import { byteLength } from "../../src/weights/source.ts";
import { expectedPath } from "../helpers/expected.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "fuzz-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** Mulberry32: whole numbers below a bound, the same on every run. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Mutation = (file: Buffer, below: (bound: number) => number) => Buffer;

const headerOf = (file: Buffer) => file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString("latin1");

/** The file with another header text. Its length is told truly, so that the text itself is read. */
function withHeader(file: Buffer, text: string): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, Buffer.from(text, "latin1"), file.subarray(8 + headerOf(file).length)]);
}

const hostileNumbers = [
  "-1",
  "0",
  "1",
  "4294967295",
  "4294967296",
  "9007199254740991",
  "9007199254740992",
  "18446744073709551615",
  "1e308",
  "1e999",
  "0.5",
  "-0",
  "00",
  "NaN",
  "null",
  '"4"',
  "[]",
  "{}",
  "[[[[",
  "9".repeat(400),
];
const hostileTexts = [
  '"',
  "\\",
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  "\u0000",
  "\xff",
  "__proto__",
  "\\u0000",
  "\\ud800",
  "F32",
  "I64",
  "BOOL",
  "F8_E5M2",
  "data_offsets",
  "shape",
  "__metadata__",
  " ".repeat(100),
];

const mutations: Record<string, Mutation> = {
  "a bit flipped": (file, below) => {
    const at = below(file.length);
    file[at]! ^= 1 << below(8);
    return file;
  },
  "many bytes changed": (file, below) => {
    for (let i = below(20); i >= 0; i--) file[below(file.length)] = below(256);
    return file;
  },
  truncated: (file, below) => file.subarray(0, below(file.length)),
  "bytes appended": (file, below) => Buffer.concat([file, Buffer.alloc(1 + below(100), below(256))]),
  "another length": (file, below) => {
    file.writeBigUInt64LE(BigInt.asUintN(64, BigInt(below(2) ? below(1000) : 2 ** below(64)) - BigInt(below(2))), 0);
    return file;
  },
  "a header bit flipped": (file, below) => {
    file[8 + below(headerOf(file).length)]! ^= 1 << below(8);
    return file;
  },
  "another number": (file, below) => {
    const text = headerOf(file);
    const numbers = [...text.matchAll(/\d+/g)];
    const number = numbers[below(numbers.length)]!;
    const other = hostileNumbers[below(hostileNumbers.length)]!;
    return withHeader(file, text.slice(0, number.index) + other + text.slice(number.index + number[0].length));
  },
  "a number off by one": (file, below) => {
    const text = headerOf(file);
    const numbers = [...text.matchAll(/\d+/g)];
    const number = numbers[below(numbers.length)]!;
    const other = String(Number(number[0]) + (below(2) ? 1 : -1));
    return withHeader(file, text.slice(0, number.index) + other + text.slice(number.index + number[0].length));
  },
  "text put into the header": (file, below) => {
    const text = headerOf(file);
    const at = below(text.length);
    return withHeader(file, text.slice(0, at) + hostileTexts[below(hostileTexts.length)]! + text.slice(at));
  },
  "a stretch of the header removed": (file, below) => {
    const text = headerOf(file);
    const at = below(text.length);
    return withHeader(file, text.slice(0, at) + text.slice(at + 1 + below(40)));
  },
  "a stretch of the header doubled": (file, below) => {
    const text = headerOf(file);
    const at = below(text.length);
    const end = at + 1 + below(60);
    return withHeader(file, text.slice(0, end) + text.slice(at));
  },
  "a name for another": (file, below) => {
    const text = headerOf(file);
    const names = [...text.matchAll(/"([^"]+)"/g)].map(([, name]) => name!);
    return withHeader(file, text.replace(names[below(names.length)]!, names[below(names.length)]!));
  },
};

/** Everything that a reader can ask for. The sum of the bytes read. */
async function readAll(path: string): Promise<number> {
  const source = await openSafetensors(path);
  try {
    let total = 0;
    for (const [name, entry] of source.entries) {
      const bytes = await source.read(name);
      expect(bytes.length).toBe(byteLength(entry));
      expect(toFloat32(bytes, entry.dtype).length).toBe(entry.shape.reduce((n, length) => n * length, 1));
      total += bytes.length;
    }
    return total;
  } finally {
    await source.close();
  }
}

test("1,200 mutated files are read or refused with a WeightsError: no crash, no hang, no memory beyond the file's", async () => {
  const below = random(20251125);
  const originals = await Promise.all(
    ["weights/kinds.safetensors", "weights/sharded_whole.safetensors"].map((file) => readFile(expectedPath(file))),
  );
  const path = join(folder, "mutated.safetensors");
  const outcome = { read: 0, refused: 0 };
  for (let i = 0; i < 100; i++) {
    for (const [name, mutate] of Object.entries(mutations)) {
      const file = mutate(Buffer.from(originals[i % 2]!), below);
      await writeFile(path, file);
      const before = process.memoryUsage().arrayBuffers;
      const started = performance.now();
      try {
        expect(await readAll(path)).toBeLessThanOrEqual(file.length);
        decodeSafetensors(file, path);
        outcome.read++;
      } catch (error) {
        if (!(error instanceof WeightsError)) throw new Error(`${name}, round ${i}`, { cause: error });
        expect(error.message).toContain(path);
        expect(error.message.length).toBeLessThan(1000);
        expect(() => decodeSafetensors(file, path)).toThrow(WeightsError);
        outcome.refused++;
      }
      // Counted loosely: the collector may not have run since the last file of some hundred bytes.
      expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 ** 20);
      expect(performance.now() - started).toBeLessThan(2000);
    }
  }
  // The mutations reach both ends: some harmless, most not.
  expect(outcome.read + outcome.refused).toBe(1200);
  expect(outcome.read).toBeGreaterThan(100);
  expect(outcome.refused).toBeGreaterThan(600);
});

test("200 mutated indexes of shards are read or refused with a WeightsError", async () => {
  const below = random(7);
  const index = await readFile(expectedPath("weights/sharded/model.safetensors.index.json"));
  for (const file of ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]) {
    await writeFile(join(folder, file), await readFile(expectedPath(`weights/sharded/${file}`)));
  }
  const path = join(folder, "model.safetensors.index.json");
  let refused = 0;
  for (let i = 0; i < 200; i++) {
    const mutated = Buffer.from(index);
    for (let n = below(3); n >= 0; n--) mutated[below(mutated.length)] = below(2) ? below(256) : 0x22;
    await writeFile(path, mutated);
    const error = await openShards(path).then(
      (source) => source.close(),
      (error: unknown) => error,
    );
    if (error !== undefined) {
      expect(error).toBeInstanceOf(WeightsError);
      refused++;
    }
  }
  expect(refused).toBeGreaterThan(100);
});
