import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  type LazyTensor,
  openSafetensors,
  type StoredTensor,
  writeSafetensors,
} from "../../src/weights/index.ts";
import { expectedPath, openExpected } from "../helpers/expected.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "safetensors-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** A file with this header text (or bytes) and this many bytes of data. */
function file(header: string | Uint8Array, dataBytes = 0, { length }: { length?: number | bigint } = {}): Uint8Array {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length ?? json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const tensor = (dtype: string, shape: number[], start: number, end: number) =>
  JSON.stringify({ dtype, shape, data_offsets: [start, end] });

const header = (entries: Record<string, string>) =>
  `{${Object.entries(entries)
    .map(([name, text]) => `${JSON.stringify(name)}:${text}`)
    .join(",")}}`;

describe("malformed files", () => {
  const a = tensor("F32", [2], 0, 8);
  const cases: Record<string, [Uint8Array, string]> = {
    "an empty file": [new Uint8Array(0), "it has only 0 bytes."],
    "less than a length": [new Uint8Array(7), "it has only 7 bytes."],
    "a length past the end": [
      file(header({ a }), 8, { length: 4000 }),
      "its header of 4000 bytes goes past its end, at 70 bytes.",
    ],
    "a header over 100 MB": [
      file("{}", 0, { length: 100_000_001 }),
      "its header would have 100000001 bytes; at most 100000000 are read.",
    ],
    "a length of 2⁶⁴ − 1": [
      file("{}", 0, { length: 2n ** 64n - 1n }),
      "its header would have 18446744073709551615 bytes",
    ],
    "no header": [file(""), "its header has an end at character 0, where { is due."],
    "an unfinished header": [file('{"a":'), "its header has an end at character 5, where { is due."],
    "an unfinished string": [file('{"a'), "its header ends within a string."],
    "an unfinished escaped string": [file('{"a\\"'), "its header ends within a string."],
    "a broken string": [file('{"a\\x":1}'), "its header has a string that is not JSON, at character 2."],
    "a list": [file("[]"), 'its header has "[" at character 0, where { is due.'],
    "more after the header": [file("{} {}"), "its header goes on after its end."],
    "a byte order mark": [file("\ufeff{}"), 'its header has "\\ufeff" at character 0, where { is due.'],
    "a header that is not UTF-8": [file(new Uint8Array([0x7b, 0x22, 0xff, 0x22])), "its header is not UTF-8."],
    "half a surrogate pair": [file('{"\\ud800":1}'), "its header has half a character at 2."],
    "a name twice": [file(`{"a":${a},"a":${a}}`, 8), '"a" stands twice in its header.'],
    "a name twice, once escaped": [file(`{"a":${a},"\\u0061":${a}}`, 8), '"a" stands twice in its header.'],
    "a field twice": [file('{"a":{"dtype":"F32","dtype":"F32"}}'), '"dtype" stands twice in tensor "a".'],
    "metadata twice": [file('{"__metadata__":{},"__metadata__":{}}'), '"__metadata__" stands twice in its header.'],
    "metadata that is not text": [
      file('{"__metadata__":{"a":1}}'),
      'its header has "1" at character 21, where " is due.',
    ],
    "an unknown field": [
      file('{"a":{"sparse":1}}'),
      'tensor "a" has a field "sparse", which safetensors files do not have.',
    ],
    "a field that lacks": [
      file('{"a":{"dtype":"F32","shape":[]}}'),
      'tensor "a" lacks one of dtype, shape and data_offsets.',
    ],
    "an unknown dtype": [
      file(header({ a: tensor("F8_E4M3", [1], 0, 1) }), 1),
      'tensor "a" is stored as "F8_E4M3", which is not read.',
    ],
    "a dtype from the prototype": [
      file(header({ a: tensor("constructor", [1], 0, 1) }), 1),
      'is stored as "constructor", which is not read.',
    ],
    "one offset": [
      file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1]}}', 1),
      'the data_offsets of tensor "a" are not a begin and an end.',
    ],
    "three offsets": [
      file('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}', 1),
      "are not a begin and an end.",
    ],
    "an end before the begin": [file(header({ a: tensor("U8", [1], 1, 0) }), 1), "are not a begin and an end."],
    "a negative length": [
      file('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4),
      'the shape of tensor "a" has "-1" where a whole number',
    ],
    "a negative offset": [
      file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}', 4),
      'the data_offsets of tensor "a" has "-4" where',
    ],
    "a fraction": [
      file('{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,6]}}', 6),
      'has "1.5" where a whole number',
    ],
    "an exponent": [
      file('{"a":{"dtype":"F32","shape":[1e1],"data_offsets":[0,40]}}', 40),
      'has "1e1" where a whole number',
    ],
    "a number past 2⁵³": [
      file('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,4]}}', 4),
      'has "9007199254740993" where',
    ],
    "a number with endless digits": [
      file(`{"a":{"dtype":"U8","shape":[${"9".repeat(5000)}],"data_offsets":[0,4]}}`, 4),
      "where a whole number",
    ],
    "a shape of too many axes": [
      file(`{"a":{"dtype":"U8","shape":[${Array(65).fill(1)}],"data_offsets":[0,1]}}`, 1),
      'the shape of tensor "a" has more than 64 numbers.',
    ],
    "too many tensors": [
      file(header(Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [i, tensor("U8", [0], 0, 0)])))),
      "its header has more than 100000 keys.",
    ],
    "a text for a number": [
      file('{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}', 1),
      'the shape of tensor "a" has "\\u0022" where',
    ],
    "a shape beyond all bounds": [
      file(header({ a: tensor("F32", [2 ** 40, 2 ** 40], 0, 8) }), 8),
      'tensor "a" takes Infinity bytes',
    ],
    "a huge shape hidden by a 0": [
      file(header({ a: tensor("F32", [2 ** 40, 2 ** 40, 0], 0, 0) })),
      'tensor "a" takes Infinity bytes',
    ],
    "more bytes than the shape": [
      file(header({ a: tensor("F32", [2], 0, 12) }), 12),
      'tensor "a" takes 8 bytes as F32 [2], but its data_offsets span 12.',
    ],
    "fewer bytes than the shape": [
      file(header({ a: tensor("F32", [2], 0, 4) }), 4),
      'tensor "a" takes 8 bytes as F32 [2], but its data_offsets span 4.',
    ],
    "an overlap": [file(header({ a, b: tensor("F32", [2], 4, 12) }), 12), 'tensor "b" overlaps the one before it.'],
    "the same bytes twice": [file(header({ a, b: a }), 8), 'tensor "b" overlaps the one before it.'],
    "a gap": [
      file(header({ a, b: tensor("F32", [1], 12, 16) }), 16),
      'there are 4 bytes before tensor "b" that belong to none.',
    ],
    "a gap at the beginning": [
      file(header({ a: tensor("F32", [1], 4, 8) }), 8),
      'there are 4 bytes before tensor "a" that belong to none.',
    ],
    "data cut short": [file(header({ a }), 7), 'it is cut short: tensor "a" ends at byte 8 of the data, which has 7.'],
    "trailing bytes": [file(header({ a }), 9), "there are 1 bytes after the last tensor that belong to none."],
    "a Git LFS pointer": [
      new TextEncoder().encode("version https://git-lfs.github.com/spec/v1\n"),
      "it is the pointer that Git LFS keeps",
    ],
    "a pickle": [new TextEncoder().encode("PK\x03\x04 and more"), "it is a PyTorch pickle, which is not read yet."],
    "a web page": [new TextEncoder().encode("<!DOCTYPE html>"), "it is a web page."],
  };
  test.each(Object.entries(cases))("%s", async (name, [bytes, message]) => {
    const path = join(folder, `${name}.safetensors`);
    await writeFile(path, bytes);
    const opened = await openSafetensors(path).catch((error: unknown) => error);
    expect(opened).toBeInstanceOf(WeightsError);
    expect((opened as Error).message).toContain(`${path} can't be read as safetensors: `);
    expect((opened as Error).message).toContain(message);
    expect(() => decodeSafetensors(bytes, path)).toThrow((opened as Error).message);
  });

  test("a message shows a hostile name on one line, without control characters, cut", async () => {
    const name = `\u001b[31m\n\u202e${"x".repeat(1000)}`;
    const bytes = file(header({ [name]: tensor("F32", [2], 0, 4) }), 4);
    const error = (() => {
      try {
        return decodeSafetensors(bytes, "latents");
      } catch (error) {
        return error as Error;
      }
    })() as Error;
    expect(error.message).toMatch(
      /^latents can't be read as safetensors: tensor "\\u001b\[31m\\u000a\\u202ex{180,200}…" takes/,
    );
    expect(error.message.length).toBeLessThan(400);
  });

  test("deep nesting and escaped quotes without end are read in linear time", () => {
    const started = performance.now();
    for (const text of [
      "[".repeat(2e6),
      `{"${"\\".repeat(2e6)}`,
      `{"${'\\"'.repeat(1e6)}`,
      `{"a":{"dtype":"${"x".repeat(2e6)}"}}`,
      `{${" ".repeat(2e6)}`,
    ]) {
      expect(() => decodeSafetensors(file(text), "hostile")).toThrow(WeightsError);
    }
    expect(performance.now() - started).toBeLessThan(5000);
  });

  test("missing files, folders and missing tensors are named", async () => {
    await expect(openSafetensors(join(folder, "none"))).rejects.toThrow(
      new WeightsError(`There is no ${folder}/none.`),
    );
    await expect(openSafetensors(folder)).rejects.toThrow(`${folder} is a folder, not a file.`);
    const source = await openExpected("weights/kinds.safetensors");
    await expect(source.read("other")).rejects.toThrow(/kinds.safetensors has no tensor "other"\.$/);
    await expect(source.read("u8", { start: 0, end: 4 })).rejects.toThrow(RangeError);
    await source.close();
  });

  test("a file that shrinks after it was opened is an error, not zeros", async () => {
    const path = join(folder, "shrinking.safetensors");
    await writeFile(path, encodeSafetensors({ a: stored([1000]) }));
    const source = await openSafetensors(path);
    await truncate(path, 500);
    await expect(source.read("a")).rejects.toThrow(
      `${path} ended within tensor "a": it was cut short after it had been opened.`,
    );
    await source.close();
  });
});

function stored(shape: number[], fill = 1): StoredTensor {
  const bytes = new Uint8Array(4 * shape.reduce((product, length) => product * length, 1)).fill(fill);
  return { dtype: "F32", shape, bytes };
}

const lazy = (name: string, { bytes, ...entry }: StoredTensor): LazyTensor => ({
  name,
  ...entry,
  pieces: () => [bytes.subarray(0, 5), bytes.subarray(5)],
});

describe("well-formed files", () => {
  test("names that JavaScript knows are names like others", async () => {
    const names = ["__proto__", "constructor", "toString", "0", "語", 'a"b\\'];
    const tensors = Object.fromEntries(names.map((name, i) => [name, stored([3], i)]));
    const metadata = JSON.parse('{"__proto__":"x"}');
    const bytes = encodeSafetensors(tensors, metadata);
    const path = join(folder, "names.safetensors");
    await writeFile(path, bytes);
    const source = await openSafetensors(path);
    expect([...source.entries.keys()].sort()).toEqual([...names].sort());
    expect(await source.read("__proto__")).toEqual(new Uint8Array(12));
    expect(Object.entries(source.metadata)).toEqual([["__proto__", "x"]]);
    expect(source.metadata.toString).toBeUndefined();
    await source.close();
  });

  test("a file without tensors, spaces in the header, and tensors without numbers", () => {
    expect(decodeSafetensors(file("{}"), "x").size).toBe(0);
    expect(
      decodeSafetensors(
        file(' { "a" : { "dtype" : "F32" , "shape" : [ 0 , 3 ] , "data_offsets" : [ 0 , 0 ] } }  '),
        "x",
      ).get("a"),
    ).toEqual({
      dtype: "F32",
      shape: [0, 3],
      bytes: new Uint8Array(0),
    });
  });

  test("what Python wrote is read: kinds, shapes, metadata, ranges", async () => {
    const source = await openExpected("weights/kinds.safetensors");
    expect(source.metadata).toEqual({ text: "日本語" });
    expect(source.entries.get("scalar")).toMatchObject({ dtype: "F32", shape: [] });
    expect(source.entries.get("none")).toMatchObject({ dtype: "F32", shape: [0, 4] });
    expect([...(await source.read("u8"))]).toEqual([0, 1, 255]);
    expect([...(await source.read("u8", { start: 1, end: 3 }))]).toEqual([1, 255]);
    await source.close();
  });

  test("the data begin at a multiple of 64, tensors of such a size first, then the widest numbers", async () => {
    const path = join(folder, "layout.safetensors");
    const tensors = {
      odd: stored([5]),
      half: { dtype: "F16", shape: [3], bytes: new Uint8Array(6).fill(2) } as const,
      even: stored([16]),
      long: { dtype: "I64", shape: [1], bytes: new Uint8Array(8).fill(3) } as const,
      none: stored([0]),
      large: stored([4, 16]),
    };
    await writeSafetensors(
      path,
      Object.entries(tensors).map(([name, tensor]) => lazy(name, tensor)),
      { metadata: { format: "pt" } },
    );
    const bytes = await readFile(path);
    expect([...bytes]).toEqual([...encodeSafetensors(tensors, { format: "pt" })]);
    const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
    expect(dataStart % 64).toBe(0);
    const text = JSON.parse(bytes.subarray(8, dataStart).toString());
    expect(Object.keys(text)).toEqual(["__metadata__", "even", "none", "large", "long", "odd", "half"]);
    expect(text.large.data_offsets).toEqual([64, 320]);
    const again = decodeSafetensors(bytes, path);
    for (const [name, tensor] of Object.entries(tensors)) expect(again.get(name)).toEqual(tensor);
  });

  test("progress counts every byte of the file, and a tensor that gives too few leaves no file", async () => {
    const path = join(folder, "written.safetensors");
    const progress: number[][] = [];
    await writeSafetensors(path, [lazy("a", stored([16]))], { onProgress: (...now) => progress.push(now) });
    expect(progress.at(-1)).toEqual([128, 128]);
    const lying: LazyTensor = { name: "a", dtype: "F32", shape: [4], pieces: () => [new Uint8Array(15)] };
    await expect(writeSafetensors(join(folder, "lying"), [lying])).rejects.toThrow("Tensor a gave -1 bytes");
    await expect(
      writeSafetensors(join(folder, "twice"), [lazy("a", stored([1])), lazy("a", stored([1]))]),
    ).rejects.toThrow("one name");
    expect((await readdir(folder)).filter((name) => /^\.|^(lying|twice)$/.test(name))).toEqual([]);
  });

  test("a file over 4 GB is read at any place", async () => {
    const path = join(folder, "large.safetensors");
    const size = 5 * 2 ** 30;
    const start = file(header({ a: tensor("U8", [size], 0, size), b: tensor("U8", [3], size, size + 3) }));
    const sparse = await open(path, "w");
    await sparse.write(start, 0, start.length, 0);
    await sparse.write(new Uint8Array([7]), 0, 1, start.length + size - 1);
    await sparse.write(new Uint8Array([1, 2, 3]), 0, 3, start.length + size);
    await sparse.close();
    const source = await openSafetensors(path);
    expect([...(await source.read("b"))]).toEqual([1, 2, 3]);
    expect([...(await source.read("a", { start: size - 2, end: size }))]).toEqual([0, 7]);
    await source.close();
    await rm(path);
  });
});

const python = fileURLToPath(new URL("../../.reference-env/bin/python", import.meta.url));

describe.skipIf(!existsSync(python))("Python's safetensors (skipped where .reference-env is not installed)", () => {
  test("reads what is written here, and finds the same numbers", async () => {
    const path = join(folder, "ours.safetensors");
    const kinds = decodeSafetensors(await readFile(expectedPath("weights/kinds.safetensors")), "kinds");
    await writeSafetensors(
      path,
      [...kinds].map(([name, tensor]) => lazy(name, tensor)),
      { metadata: { format: "pt" } },
    );
    const script = `
import sys, torch
from safetensors.torch import load_file
a, b = load_file(sys.argv[1]), load_file(sys.argv[2])
assert a.keys() == b.keys()
bits = lambda t: t.contiguous().view(torch.uint8) if t.ndim else t
print(all(a[n].dtype == b[n].dtype and a[n].shape == b[n].shape and torch.equal(bits(a[n]), bits(b[n])) for n in a), len(a))`;
    const said = execFileSync(python, ["-c", script, path, expectedPath("weights/kinds.safetensors")], {
      encoding: "utf8",
    });
    expect(said.trim()).toBe(`True ${kinds.size}`);
  });
});
