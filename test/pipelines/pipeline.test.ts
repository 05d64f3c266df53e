import { readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type GenerateOptions,
  type GenerationResult,
  openPipeline,
  type Pipeline,
  type TensorData,
} from "../../src/pipelines/index.ts";
import { toFloat32, type WeightSource } from "../../src/weights/index.ts";
import { tolerances } from "../accuracy/table.js";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected } from "../helpers/expected.ts";
import { tinyModel } from "../helpers/tiny-model.ts";

/** What test/reference/pipeline.py asked LikesPipeline for. */
const prompt = "滝の中の絵藍ミツア、先生アート";
const usual: GenerateOptions = {
  prompt,
  negativePrompt: "elan doodle, lowres",
  seed: 42,
  width: 128,
  height: 96,
  steps: 8,
};

const latents = "pictures: latents after every step";

let pipeline: Pipeline;
beforeAll(async () => {
  pipeline = await openPipeline("weights/tiny");
});
afterAll(() => pipeline.dispose());

async function data(source: WeightSource, name: string): Promise<TensorData> {
  const { dtype, shape } = source.entries.get(name)!;
  return { shape, data: toFloat32(await source.read(name), dtype) };
}

function error(actual: TensorData, wanted: TensorData): number {
  expect(actual.shape).toEqual(wanted.shape);
  const magnitude = wanted.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const differences = actual.data.map((value, i) => Math.abs(value - wanted.data[i]!) / magnitude);
  return Math.max(...differences); // NaN where anything is
}

/** Runs ours and compares the latents after every step with those of the reference. */
async function run(name: string, options: GenerateOptions, of = pipeline) {
  const source = await openExpected(`pipeline/${name}.safetensors`);
  const { shape, data: all } = await data(source, "steps"); // [steps, B, C, h, w]
  const size = all.length / shape[0]!;
  const steps = of.generate(options);
  const errors: number[] = [];
  let next = await steps.next();
  for (; !next.done; next = await steps.next()) {
    const wanted = all.subarray(size * errors.length, size * (errors.length + 1));
    errors.push(error(next.value.latents, { shape: shape.slice(1), data: wanted }));
  }
  expect(errors.length).toBe(shape[0]);
  const result: GenerationResult = next.value;
  return { source, errors, worst: Math.max(...errors), result };
}

test("the whole system: latents at every step, the conditioning, the picture and its likeness", async () => {
  const { source, errors, result } = await run("usual", usual);
  for (const [step, value] of errors.entries()) expectAccurate(latents, value, `latents after step ${step + 1}`);

  const { tensors } = result;
  expect(tensors.initialLatents.data).toEqual((await data(source, "initial_latents")).data); // bit for bit
  expectAccurate("pictures: text", error(tensors.promptEmbeds, await data(source, "prompt_embeds")));
  expectAccurate("pictures: text", error(tensors.pooledPromptEmbeds, await data(source, "pooled_prompt_embeds")));
  expectAccurate("pictures: text", error(tensors.negativePromptEmbeds!, await data(source, "negative_prompt_embeds")));
  expectAccurate("pictures: pixels before rounding", error(tensors.image, await data(source, "image")));

  const pixels = await source.read("pixels");
  const [image] = result.images;
  expect([image!.height, image!.width, 3]).toEqual(source.entries.get("pixels")!.shape);
  expect(Math.max(...image!.data.map((value, i) => Math.abs(value - pixels[i]!)))).toBeLessThanOrEqual(1);

  const wanted = JSON.parse(await readFile(expectedPath("pipeline/probabilities.json"), "utf8")).usual[0];
  const [found] = result.detectedPublicFictionalCharactersInfo;
  expect(Object.keys(found!).sort()).toEqual(Object.keys(wanted).sort());
  for (const [label, probability] of Object.entries(found!))
    expect(Math.abs(probability - wanted[label])).toBeLessThan(1e-3);
  expect(result.detectedPublicFictionalCharacters[0]).toEqual(
    Object.keys(found!)
      .filter((label) => found![label]! > 0.5)
      .sort((a, b) => found![b]! - found![a]!),
  );
  await source.close();
});

describe("every setting goes the reference's way", () => {
  const en = "waterfall, impressionism painting";
  const cases: Record<string, Partial<GenerateOptions>> = {
    batch: { prompt: [prompt, en], numImages: 2, seed: 7, steps: 3 },
    no_negative: { negativePrompt: undefined, steps: 2 },
    unguided: { guidanceScale: 1, steps: 2 },
    no_rescale: { guidanceRescale: 0, steps: 2 },
    eta: { eta: 0.6, steps: 3 },
    odd_size: { width: 104, height: 56, steps: 2 },
    padding_mask: { textMask: "padding", steps: 2 },
    causal_mask: { textMask: "causal", steps: 2 },
    penultimate: { textHiddenState: "penultimate", steps: 2 },
    penultimate_padding: { textMask: "padding", textHiddenState: "penultimate", steps: 2 },
  };
  test.each(Object.entries(cases))("%s", async (name, options) => {
    const { worst, source } = await run(name, { ...usual, similarityCheck: false, ...options });
    await source.close();
    expectAccurate(latents, worst);
  });
});

test.each([2, 3, 10])(
  "pictures that are denoised together, at most %d, are those of one after another",
  async (batchSize) => {
    const options = {
      prompt: [prompt, "waterfall, impressionism painting"],
      numImages: 2,
      seed: 7,
      steps: 3,
      batchSize,
    };
    const { worst, source } = await run("batch", { ...usual, similarityCheck: false, ...options });
    await source.close();
    expectAccurate(latents, worst);
  },
);

describe("what a negative prompt that is not given stands for", () => {
  test.each([
    ["zeros", undefined],
    ["empty_negative", ""],
  ])("%s, where model_index.json has force_zeros_for_empty_prompt", async (name, negativePrompt) => {
    const zeros = await openPipeline(await tinyModel({ "model_index.json": { force_zeros_for_empty_prompt: true } }));
    const { worst, source } = await run(name, { ...usual, negativePrompt, steps: 2 }, zeros);
    await source.close();
    await zeros.dispose();
    expectAccurate(latents, worst);
  });
});

test.each([
  ["image_to_image", { strength: 0.6, steps: 5 }],
  ["inpaint", { strength: 1, steps: 3 }],
  ["inpaint_some", { strength: 0.7, steps: 4 }],
])("from saved latents: %s", async (name, options) => {
  const source = await openExpected(`pipeline/${name}.safetensors`);
  const initial = await data(source, "init_latents");
  const mask = source.entries.has("mask") ? await data(source, "mask") : undefined;
  await source.close();
  const { worst, source: opened } = await run(name, { ...usual, ...options, latents: initial, mask });
  await opened.close();
  expectAccurate(latents, worst);
});

test("from a picture, through an encoder that is not blank", async () => {
  const trained = await openPipeline(await tinyModel({ "generation_config.json": { vae_encoder: "trained" } }));
  const source = await openExpected("pipeline/picture_to_image.safetensors");
  const image = { width: 128, height: 96, data: await source.read("picture") };
  await source.close();
  const options = { ...usual, numImages: 2, seed: 5, image, strength: 0.5, steps: 4 };
  const { worst, source: opened } = await run("picture_to_image", options, trained);
  await opened.close();
  expectAccurate(latents, worst);
  await trained.dispose();
});

test("a blank encoder takes no picture in", async () => {
  const image = { width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) };
  await expect(pipeline.run({ ...usual, width: 64, height: 64, image })).rejects.toThrow(
    /published with a blank encoder/,
  );
});

test("the reference cases are different ways, so that none passes for another", async () => {
  const names = [
    "no_negative",
    "zeros",
    "empty_negative",
    "unguided",
    "no_rescale",
    "padding_mask",
    "causal_mask",
    "penultimate",
    "penultimate_padding",
  ];
  const lasts = await Promise.all(
    names.map(async (name) => {
      const source = await openExpected(`pipeline/${name}.safetensors`);
      const steps = await data(source, "steps");
      await source.close();
      return steps;
    }),
  );
  for (const [i, a] of lasts.entries()) {
    for (const [j, b] of lasts.entries()) {
      const same = i === j || [names[i], names[j]].every((name) => name === "no_negative" || name === "empty_negative");
      if (!same) expect(error(a, b), `${names[i]} and ${names[j]}`).toBeGreaterThan(10 * tolerances[latents]);
    }
  }
});
