import { expect, test } from "vitest";
import { areFinite } from "../../src/weights/dtypes.ts";
import { type Dtype, fromFloat32, toFloat32, type WeightSource } from "../../src/weights/index.ts";
import { openExpected } from "../helpers/expected.ts";

async function values(source: WeightSource, name: string): Promise<Float32Array> {
  return toFloat32(await source.read(name), source.entries.get(name)!.dtype);
}

/** Equal to the last bit, −0 and the infinities included; one NaN is as good as another. */
function expectSameBits(actual: Float32Array, wanted: Float32Array): void {
  expect(actual.length).toBe(wanted.length);
  const wrong = [...actual].flatMap((value, i) =>
    Object.is(value, wanted[i]) ? [] : [{ i, value, wanted: wanted[i] }],
  );
  expect(wrong).toEqual([]);
}

test("every kind of number is the float32 that torch makes of it", async () => {
  const stored = await openExpected("weights/kinds.safetensors");
  const wanted = await openExpected("weights/kinds_float32.safetensors");
  for (const name of wanted.entries.keys()) expectSameBits(await values(stored, name), await values(wanted, name));
  expect([...stored.entries.values()].map(({ dtype }) => dtype).sort()).toEqual([
    "BF16",
    "BOOL",
    "F16",
    "F32",
    "F32",
    "F32",
    "F64",
    "I32",
    "I64",
    "U8",
  ]);
  await Promise.all([stored.close(), wanted.close()]);
});

test("float32 is rounded to F16 and BF16 as torch rounds it: ties, subnormals, overflow, random bits", async () => {
  const source = await openExpected("weights/casts.safetensors");
  const floats = await values(source, "f32");
  for (const [name, dtype] of [
    ["f16", "F16"],
    ["bf16", "BF16"],
  ] as const) {
    expectSameBits(toFloat32(fromFloat32(floats, dtype), dtype), await values(source, name));
  }
  await source.close();
});

test("all 65,536 halves and brain floats survive the way to float32 and back", () => {
  const bits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  for (const dtype of ["F16", "BF16"] as const) {
    const floats = toFloat32(new Uint8Array(bits.buffer), dtype);
    const back = new Uint16Array(fromFloat32(floats, dtype).buffer);
    const changed = bits.filter((value) => back[value] !== value && !Number.isNaN(floats[value]));
    expect([...changed]).toEqual([]);
    expect(floats.filter(Number.isNaN).length).toBe(dtype === "F16" ? 2 * 1023 : 2 * 127);
  }
});

test("whole numbers are stored exactly or not at all", () => {
  const floats = new Float32Array([0, 1, 255]);
  for (const dtype of ["F64", "I64", "I32", "U8"] as const) {
    expect([...toFloat32(fromFloat32(floats, dtype), dtype)]).toEqual([0, 1, 255]);
  }
  const refused: [number, Dtype][] = [
    [256, "U8"],
    [-1, "U8"],
    [0.5, "I32"],
    [2 ** 31, "I32"],
    [2 ** 63, "I64"],
    [2, "BOOL"],
    [Number.NaN, "I64"],
  ];
  for (const [value, dtype] of refused) {
    expect(() => fromFloat32(new Float32Array([value]), dtype)).toThrow(`${dtype} can't hold ${value}.`);
  }
});

test("bytes that do not begin at a multiple of the number's width are read too", () => {
  const stored = new Uint8Array([9, 0, 0, 0x80, 0x3f]);
  expect([...toFloat32(stored.subarray(1), "F32")]).toEqual([1]);
  expect([...toFloat32(Buffer.from(stored.buffer, 1), "F32")]).toEqual([1]);
});

test("one infinity or NaN is noticed", () => {
  expect(areFinite(new Float32Array([0, -3.4e38, 3.4e38]))).toBe(true);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    expect(areFinite(new Float32Array([0, value, 1]))).toBe(false);
  }
});
