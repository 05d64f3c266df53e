import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { countParameters, parameters } from "../../src/layers/index.ts";
import { UNet } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import {
  mitsuaLikesUNet,
  sdxlUNet,
  stableDiffusion15UNet,
  stableDiffusion21UNet,
} from "../../src/models/unet-presets.ts";
import { expectedPath } from "../helpers/expected.ts";

const read = (name: string) => readFile(expectedPath(`unet_structures/${name}`), "utf8");

const presets = {
  "stable-diffusion-1.5": { preset: stableDiffusion15UNet, count: 859_520_964 },
  "stable-diffusion-2.1": { preset: stableDiffusion21UNet, count: 865_910_724 },
  sdxl: { preset: sdxlUNet, count: 2_567_463_684 },
  "mitsua-likes": { preset: mitsuaLikesUNet, count: 1_289_823_752 },
};

describe.each(Object.entries(presets))("%s", (name, { preset, count }) => {
  test("is what its config.json says", async () => {
    expect(unetConfigFrom(JSON.parse(await read(`${name}/config.json`)), name)).toEqual(preset);
  });

  test("has diffusers' weights, by name and shape", async () => {
    const lines = [...parameters(new UNet(preset))].map(([path, { shape }]) => `${path} [${shape.join(", ")}]`);
    expect(lines.sort()).toEqual((await read(`${name}/structure.txt`)).trimEnd().split("\n").sort());
  });

  test("has the published number of parameters (Mitsua Likes: the number of the preset in diffusers)", async () => {
    expect(countParameters(new UNet(preset))).toBe(count);
    expect(JSON.parse(await read("counts.json"))[name]).toBe(count);
  });
});

test("a UNet of 2.6 billion parameters is built in milliseconds and without a tensor", () => {
  new UNet(mitsuaLikesUNet); // compiles what the next line runs
  const { numTensors } = tf.memory();
  const start = performance.now();
  new UNet(sdxlUNet);
  expect(performance.now() - start).toBeLessThan(200);
  expect(tf.memory().numTensors).toBe(numTensors);
});
