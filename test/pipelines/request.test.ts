import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { modelDefaults } from "../../src/pipelines/defaults.ts";
import { resizeMask } from "../../src/pipelines/inpaint.ts";
import { type GenerateOptions, resolveRequest } from "../../src/pipelines/request.ts";

const limits = {
  defaults: modelDefaults(["pipeline_likes_base_unet"], undefined, "no file"),
  cell: 8,
  latentChannels: 8,
};
const resolve = (options: Partial<GenerateOptions>) => resolveRequest({ prompt: "花", ...options }, limits);
const zeros = (...shape: number[]) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });

describe("a request", () => {
  test("has the model's own defaults", () => {
    const { width, height, steps, guidanceScale, guidanceRescale, textMask } = resolve({});
    expect([width, height, steps, guidanceScale, guidanceRescale, textMask]).toEqual([768, 768, 40, 5, 0.7, "none"]);
  });

  test("has an entry of prompts, negative prompts and seeds for each picture", () => {
    const { prompts, negativePrompts, seeds } = resolve({
      ...{ prompt: ["a", "b"], negativePrompt: ["c", "d"], numImages: 2, seed: 7 },
    });
    expect(prompts).toEqual(["a", "a", "b", "b"]);
    expect(negativePrompts).toEqual(["c", "c", "d", "d"]);
    expect(seeds).toEqual([7, 8, 9, 10]);
  });

  test("has batches of no more than its pictures", () => {
    expect(resolve({}).batchSize).toBe(1);
    expect(resolve({ prompt: ["a", "b"], numImages: 2, batchSize: 3 }).batchSize).toBe(3);
    expect(resolve({ prompt: ["a", "b"], batchSize: 32 }).batchSize).toBe(2);
  });

  test("counts seeds exactly beyond what a number holds", () => {
    expect(resolve({ seed: 2 ** 53 - 2, numImages: 4 }).seeds).toEqual([
      ...[2 ** 53 - 2, 2 ** 53 - 1, 2n ** 53n, 2n ** 53n + 1n],
    ]);
    expect(resolve({ seed: -1n, numImages: 2 }).seeds).toEqual([-1n, 0n]);
  });

  test("takes its size from the latents that it starts from", () => {
    const { width, height } = resolve({ latents: zeros(1, 8, 4, 6), mask: zeros(1, 1, 5, 7), strength: 0.5 });
    expect([width, height]).toEqual([48, 32]);
  });
});

describe("refused, by name,", () => {
  const latents = zeros(1, 8, 4, 6);
  test.each<[string, Partial<GenerateOptions>, RegExp]>([
    ["no prompt", { prompt: [] }, /prompt must be a text or a list/],
    ["more prompts than pictures", { prompt: new Array(10_001).fill("a") }, /10001 prompts; one call makes 10000/],
    ["more pictures", { prompt: ["a", "b"], numImages: 5001 }, /numImages is 5001; .* from 1 to 5000/],
    ["negative prompts of another number", { negativePrompt: ["a", "b"] }, /2 texts for 1 prompts/],
    ["a batch of none", { batchSize: 0 }, /batchSize is 0; it must be a whole number from 1/],
    ["half a seed", { seed: 1.5 }, /seed 1.5/],
    ["a seed that a number does not hold", { seed: 2 ** 53 }, /seed 9007199254740992/],
    ["a batch that runs past the last seed", { seed: 2n ** 64n - 1n, numImages: 2 }, /18446744073709551616/],
    ["no step", { steps: 0 }, /steps is 0/],
    ["a scale that is no number", { guidanceScale: Number.NaN }, /guidanceScale is NaN/],
    ["a side that does not fit the cells", { width: 60 }, /width is 60; it must be a multiple of 8, such as 56 or 64/],
    ["a side that is not the latents'", { latents, height: 64 }, /height is 64, but the picture .* has 32/],
    ["a mask of nothing", { mask: zeros(1, 1, 8, 8) }, /mask says what is to be kept/],
    ["a picture, by a blank encoder", { image: { width: 8, height: 8, data: new Uint8Array(192) } }, /blank encoder/],
    ["latents of other channels", { latents: zeros(1, 4, 4, 6) }, /\[1, 8, height \/ 8, width \/ 8\]/],
    ["fewer numbers than latents have", { latents: { ...latents, data: new Float32Array(3) } }, /192 numbers.* 3 are/],
    ["latents that are not finite", { latents: { ...latents, data: latents.data.with(5, Infinity) } }, /position 5/],
    ["an empty mask", { latents, mask: zeros(1, 1, 0, 4) }, /mask of the shape \[1,1,0,4\] must hold/],
    ["more numbers than a mask has", { latents, mask: { shape: [1, 1, 1, 1], data: new Float32Array(2) } }, /2 are/],
    ["a mask outside of 0…1", { latents, mask: { shape: [1, 1, 1, 1], data: Float32Array.of(2) } }, /outside of 0…1/],
  ])("is %s", (_, options, message) => {
    expect(() => resolve(options)).toThrow(InputError);
    expect(() => resolve(options)).toThrow(message);
  });
});

test("a mask's cells are the pixels that torch's nearest interpolation takes, in single precision", () => {
  const pixels = { shape: [1, 1, 1, 2], data: Float32Array.of(0, 1) };
  expect(resizeMask(pixels, 1, 82).data.indexOf(1)).toBe(42); // as F.interpolate, and not 41
});
