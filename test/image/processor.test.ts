import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { ImageProcessor, imageProcessorConfigFrom } from "../../src/image/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { extremes, noise } from "./pixels.ts";

const pictures = { noise: noise(40, 33), extremes: extremes(13, 50), small: noise(4, 5) };
const names = ["vit", "swin", "only-resize", "no-resize", "no-rescale"];

describe.each(names)("%s as transformers saved it", (name) => {
  const where = expectedPath(`image/processors/${name}/preprocessor_config.json`);
  const processor = new ImageProcessor(imageProcessorConfigFrom(JSON.parse(readFileSync(where, "utf8")), where));

  test.each(Object.keys(pictures) as (keyof typeof pictures)[])("%s: equal to the last bit", async (picture) => {
    const source = await openExpected("image/processed.safetensors");
    const { width, height, data } = processor.apply(pictures[picture]);
    const wanted = await readTensor(source, `${name}/${picture}`);
    expect(await relativeError(tf.tensor(data, [height, width, 3]), wanted)).toBe(0);
    await source.close();
  });
});

test("an old file, as Swin was published with", () => {
  const old = {
    do_normalize: true,
    do_resize: true,
    feature_extractor_type: "ViTFeatureExtractor",
    image_mean: [0.485, 0.456, 0.406],
    image_std: [0.229, 0.224, 0.225],
    resample: 3,
    size: 224,
  };
  expect(imageProcessorConfigFrom(old, "p.json")).toEqual({
    resize: { width: 224, height: 224, filter: "bicubic" },
    rescaleFactor: 1 / 255,
    normalize: { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  });
});

test("what a file leaves out is as ViTImageProcessor has it", () => {
  expect(imageProcessorConfigFrom({}, "p.json")).toEqual({
    resize: { width: 224, height: 224, filter: "bilinear" },
    rescaleFactor: 1 / 255,
    normalize: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
});

test.each<[string, unknown, string]>([
  ["an absent file", undefined, "p.json is missing."],
  ["no object", [], "p.json must hold a JSON object"],
  ["a centre crop", { do_center_crop: true }, 'the field "do_center_crop" is true, which is not supported'],
  ["a shortest edge", { size: { shortest_edge: 224 } }, 'the field "size" is {"shortest_edge":224}'],
  [
    "another processor",
    { image_processor_type: "CLIPImageProcessor" },
    '"image_processor_type" is "CLIPImageProcessor"',
  ],
  ["an unknown field", { crop_pct: 0.9 }, 'the field "crop_pct" is not supported (its value is 0.9)'],
  ["an unknown filter", { resample: 6 }, 'the field "resample" is 6'],
  ["a size that fills memory", { size: 1e9 }, 'the field "size" is 1000000000'],
  ["a size of 0", { size: { width: 0, height: 8 } }, 'the field "size.width" is 0'],
  ["a deviation of 0", { image_std: [0.2, 0, 0.2] }, 'the field "image_std" is [0.2,0,0.2]'],
  ["four channels", { image_mean: [0, 0, 0, 0] }, 'the field "image_mean'],
])("%s is refused by name", (_, json, message) => {
  const read = () => imageProcessorConfigFrom(json, "p.json");
  expect(read).toThrow(ConfigError);
  expect(read).toThrow(message);
});
