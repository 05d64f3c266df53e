import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { clipScore, psnr, rate, reconstruct, scoreLabels, scoreScenes } from "../../src/evaluation/index.ts";
import type { Picture } from "../../src/image/index.ts";
import { Autoencoder } from "../../src/models/autoencoder.ts";
import { autoencoderConfigFrom } from "../../src/models/autoencoder-config.ts";
import { drawScene, heldOutPrompts, judge } from "../../src/scenes/index.ts";
import { loadWeights, openWeights, toFloat32 } from "../../src/weights/index.ts";
import { expectedPath, openExpected } from "../helpers/expected.ts";

const expected = JSON.parse(await readFile(expectedPath("evaluation/expected.json"), "utf8"));

async function rowsOf(name: string): Promise<Float32Array[]> {
  const source = await openExpected("evaluation/features.safetensors");
  const { shape, dtype } = source.entries.get(name)!;
  const data = toFloat32(await source.read(name), dtype);
  await source.close();
  const [count, width] = shape as [number, number];
  return Array.from({ length: count }, (_, i) => data.subarray(i * width, (i + 1) * width));
}

describe("CLIP score", () => {
  test("is torchmetrics'", async () => {
    const { mean, each } = clipScore(await rowsOf("images"), await rowsOf("texts"));
    expect(mean).toBeCloseTo(expected.clip_score.mean, 10);
    for (const [i, score] of each.entries()) expect(score).toBeCloseTo(expected.clip_score.each[i], 10);
  });

  test("is 0 where pictures are the opposite of their texts, on average", () => {
    expect(clipScore([[1, 0], [1, 1]], [[-1, 0], [-1, -1]])).toEqual({ mean: 0, each: [-100, expect.closeTo(-100, 10)] }); // biome-ignore format: pairs
    expect(clipScore([[0, 0]], [[1, 0]]).mean).toBe(0);
  });

  test("wants a text for each picture, of one length", () => {
    expect(() => clipScore([[1]], [])).toThrow(/a text for each picture: there are 1 and 0/);
    expect(() => clipScore([], [])).toThrow(/there are 0 and 0/);
    expect(() => clipScore([[1]], [[1, 2]])).toThrow(/of 1 and of 2 numbers/);
  });
});

function grey(value: number, width = 4): Picture {
  return { width, height: 2, data: new Uint8Array(width * 2 * 3).fill(value) };
}

describe("PSNR", () => {
  test("is of the squared error over all pixels", () => {
    expect(psnr([[grey(100), grey(110)]])).toBeCloseTo(20 * Math.log10(25.5), 10);
    const two = [
      [grey(100), grey(110)],
      [grey(7), grey(7)],
    ] as const;
    expect(psnr(two)).toBeCloseTo(10 * Math.log10(255 ** 2 / 50), 10);
    expect(psnr([[grey(9), grey(9)]])).toBe(Number.POSITIVE_INFINITY);
  });

  test("wants pictures of one size", () => {
    expect(() => psnr([])).toThrow("no pictures");
    expect(() => psnr([[grey(1), grey(1, 5)]])).toThrow(/4×2 and 5×2/);
  });
});

test("an autoencoder gives a picture back in its size, and keeps no tensor", async () => {
  const folder = "weights/tiny/vae";
  const where = `${folder}/config.json`;
  const vae = new Autoencoder(autoencoderConfigFrom(JSON.parse(await readFile(where, "utf8")), where));
  const source = await openWeights(folder);
  await loadWeights(vae, source);
  await source.close();
  const before = tf.memory().numTensors;
  const { width, height } = await reconstruct(drawScene(heldOutPrompts(1, 1)[0]!.scene, 64, 32), vae);
  expect([width, height, tf.memory().numTensors]).toEqual([64, 32, before]);
});

test("labels are counted over all decisions, and each alone", () => {
  const { all, byLabel } = scoreLabels([
    { there: ["a"], found: ["a", "b"] },
    { there: ["a"], found: [] },
    { there: [], found: [] },
    { there: ["b", "a"], found: ["b", "a"] },
  ]);
  expect(all).toEqual({ precision: 3 / 4, recall: 3 / 4, f1: 3 / 4 });
  expect(byLabel.a).toEqual({ precision: 1, recall: 2 / 3, f1: 4 / 5 });
  expect(byLabel.b).toEqual({ precision: 1 / 2, recall: 1, f1: 2 / 3 });
});

describe("what prompts asked for", () => {
  const prompts = heldOutPrompts(8, 3);

  test("is seen in the scenes themselves, and seldom in those of other prompts", () => {
    const { all, byLanguage, shuffled } = scoreScenes(
      prompts.map((prompt) => ({ ...prompt, seen: judge(drawScene(prompt.scene)) })),
    );
    expect(rate(all.all)).toBeGreaterThan(0.9);
    expect(rate(shuffled.all)).toBeLessThan(0.5);
    expect(all.all!.asked).toBe(5 * 8);
    expect([byLanguage.ja.all!.asked, byLanguage.en.all!.asked]).toEqual([20, 20]);
    expect(shuffled.object!.asked).toBe(8 * 7);
  });

  test("is not seen in pictures of nothing", () => {
    const seen = { count: 0, explained: 0 };
    const { all } = scoreScenes(prompts.map((prompt) => ({ ...prompt, seen })));
    expect([rate(all.all), rate(all.place), rate(all.count)]).toEqual([0, 0, 0]);
    expect(rate(undefined)).toBeNaN();
  });
});
