import { expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { denormalize, postprocess, quantize } from "../../src/image/index.ts";
import { openExpected, readTensor } from "../helpers/expected.ts";

test("postprocess is diffusers' to the last bit, exact halves and overshoot included", async () => {
  const source = await openExpected("image/postprocessed.safetensors");
  const [decoded, image, pixels] = await Promise.all(
    ["decoded", "image", "pixels"].map((name) => readTensor(source, name)),
  );
  const [height, width] = decoded!.shape as [number, number, 3];
  const data = (await decoded!.data()) as Float32Array;
  expect(denormalize(data)).toEqual(await image!.data());
  expect(Float32Array.from(postprocess({ width, height, data }).data)).toEqual(Float32Array.from(await pixels!.data()));
  await source.close();
});

test.each([Number.NaN, Number.POSITIVE_INFINITY])("%s is no colour", (value) => {
  expect(() => denormalize(Float32Array.of(0, value))).toThrow(InputError);
});

test("what is not 0…1, or not of its size, is not rounded to 8 bits", () => {
  expect(() => quantize({ width: 1, height: 1, data: Float32Array.of(0, 1, 1.01) })).toThrow("0…1");
  expect(() => quantize({ width: 1, height: 2, data: new Float32Array(3) })).toThrow("needs 6 numbers");
});
