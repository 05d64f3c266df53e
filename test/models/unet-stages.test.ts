import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { disposeWeights, keeping, runStages, type Stages } from "../../src/layers/index.ts";
import { UNet, type UNetConditions } from "../../src/models/unet.ts";
import { type UNetConfig, unetConfigFrom } from "../../src/models/unet-config.ts";
import { expectedPath, relativeError } from "../helpers/expected.ts";
import { fill } from "../helpers/formula.ts";

async function configOf(name: string): Promise<UNetConfig> {
  return unetConfigFrom(JSON.parse(await readFile(expectedPath(`unet/${name}/config.json`), "utf8")), name);
}

const noise = (shape: number[], seed: number) => tf.randomNormal(shape, 0, 1, "float32", seed);

let unet: UNet;
let inputs: [tf.Tensor4D, number, tf.Tensor3D, UNetConditions];

describe("a UNet with skips, projected text, a mask and a middle", () => {
  beforeEach(async () => {
    unet = new UNet(await configOf("time_condition"));
    fill(unet);
    inputs = [
      noise([1, 6, 8, 4], 1) as tf.Tensor4D,
      500,
      noise([1, 5, 20], 2) as tf.Tensor3D,
      { contextMask: tf.tensor2d([[1, 1, 1, 0, 0]]) },
    ];
  });
  afterEach(() => disposeWeights(unet));

  test("in one go or in stages: the same result, and no other tensor is left", async () => {
    const { numTensors } = tf.memory();
    const whole = unet.apply(...inputs);
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    const staged = await runStages(unet.stages(...inputs));
    expect(tf.memory().numTensors).toBe(numTensors + 2);
    expect(await relativeError(staged, whole)).toBe(0);
    expect(inputs[2].isDisposed).toBe(false);
  });

  test("the skips are freed as the way up takes them", async () => {
    const { numTensors } = tf.memory();
    const live: number[] = [];
    await runStages(unet.stages(...inputs), { onStage: () => live.push(tf.memory().numTensors - numTensors) });
    // After the first stage: the embedding, the projected text, the mask's bias, and the first skip. 4 skips at most.
    expect(live[0]).toBe(4);
    expect(Math.max(...live)).toBeLessThanOrEqual(3 + 4 + 2);
    expect(live.at(-1)).toBe(4);
  });

  test("aborted at any stage, it leaves nothing", async () => {
    let stages = 0;
    (await runStages(unet.stages(...inputs), { onStage: () => stages++ })).dispose();
    expect(stages).toBeGreaterThan(6);
    const { numTensors } = tf.memory();
    for (let last = 1; last <= stages; last++) {
      const abort = new AbortController();
      const run = runStages(unet.stages(...inputs), {
        signal: abort.signal,
        onStage: (stage) => stage === last && abort.abort(new Error(`stopped at ${last}`)),
      });
      await expect(run).rejects.toThrow(`stopped at ${last}`);
      expect(tf.memory().numTensors).toBe(numTensors);
    }
  });

  test("two runs at once give what each gives alone", async () => {
    const others: typeof inputs = [noise([1, 5, 7, 4], 3) as tf.Tensor4D, 20, noise([1, 5, 20], 4) as tf.Tensor3D, {}];
    const alone = [unet.apply(...inputs), unet.apply(...others)];
    const { numTensors } = tf.memory();
    const together = await Promise.all([runStages(unet.stages(...inputs)), runStages(unet.stages(...others))]);
    expect(tf.memory().numTensors).toBe(numTensors + 2);
    for (const [i, result] of together.entries()) expect(await relativeError(result, alone[i]!)).toBe(0);
  });

  test("a block run by itself frees nothing of its caller's", async () => {
    const { temb, context } = { temb: noise([1, 64], 5) as tf.Tensor2D, context: noise([1, 5, 24], 6) as tf.Tensor3D };
    const x = noise([1, 6, 8, 16], 7) as tf.Tensor4D;
    const { numTensors } = tf.memory();
    const { h, skips } = await runStages(unet.downBlocks[0]!.stages(x, { temb, context }));
    expect(skips.at(-1)).toBe(h);
    expect(tf.memory().numTensors).toBe(numTensors + skips.length);
    const middle = await runStages(unet.midBlock!.stages(noise([1, 3, 4, 32], 8) as tf.Tensor4D, { temb, context }));
    const up = await runStages(
      unet.upBlocks[1]!.stages(tf.pad(x, [...Array(3).fill([0, 0]), [0, 16]]), [x, x], { temb, context }),
    );
    expect([x, temb, context, h, middle, up].some((tensor) => tensor.isDisposed)).toBe(false);
  });
});

test("stages within stages keep what a list holds at that moment", () => {
  const [a, b, c] = [tf.scalar(1), tf.scalar(2), tf.scalar(3)];
  const mine = [a, b];
  function* inner(): Stages<string> {
    mine.pop();
    yield [c];
    return "done";
  }
  const stages = keeping(mine, inner());
  expect(stages.next().value).toEqual([a, c]);
  expect(stages.next()).toEqual({ done: true, value: "done" });
});

describe("inputs that do not fit are refused", () => {
  const latents = () => tf.zeros<tf.Rank.R4>([2, 4, 4, 4]);
  const text = (channels = 24) => tf.zeros<tf.Rank.R3>([2, 3, channels]);
  const time = 1;
  const likes = () => tf.zeros<tf.Rank.R4>([2, 4, 4, 8]);
  const ids = [[1, 2, 3, 4, 5, 6]];
  const pooled = () => tf.zeros<tf.Rank.R2>([2, 24]);

  const cases: [name: string, inputs: () => Parameters<UNet["apply"]>, message: string][] = [
    ["mitsua", () => [latents(), time, text(), {}], "latents of shape [2,4,4,4] where [2,4,4,8] fits"],
    ["mitsua", () => [likes(), time, text(20), {}], "a text of shape [2,3,20] where [2,3,24] fits"],
    ["mitsua", () => [likes(), time, text(), {}], "needs a pooled text"],
    [
      "mitsua",
      () => [likes(), time, text(), { pooled: pooled(), timeIds: ids }],
      "time ids for each of its 2 pictures",
    ],
    ["mitsua", () => [likes(), time, text(), { pooled: pooled(), timeIds: [[1], [2]] }], "where [2,64] fits"],
    ["stable_diffusion_2", () => [latents(), time, text(), { pooled: pooled() }], "takes no pooled text"],
    ["stable_diffusion_2", () => [latents(), [1], text()], "a timestep for each of its 2 pictures"],
    ["stable_diffusion_2", () => [latents(), Number.NaN, text()], "was given [NaN,NaN]"],
    ["stable_diffusion_2", () => [latents(), time, text(), { classLabels: [1, 2] }], "takes no class labels"],
    ["stable_diffusion_2", () => [latents(), time, text(), { contextMask: tf.zeros([2, 4]) }], "where [2,3] fits"],
    ["stable_diffusion_2", () => [latents(), time, text(), { timeCondition: pooled() }], "a condition of the time"],
    ["class_timestep", () => [latents(), time, text()], "needs a number as its class label"],
    ["class_simple", () => [latents(), time, text(), { classLabels: [1, 2] }], "vectors of 20 channels"],
    ["class_simple", () => [latents(), time, text(), { classLabels: pooled() }], "where [2,20] fits"],
    ["upscaler", () => [tf.zeros([2, 4, 4, 7]), time, text(), { classLabels: [3, 10] }], "a class from 0 to 9"],
  ];
  test.each(cases)("%s: %#", async (name, given, message) => {
    const refused = new UNet(await configOf(name));
    expect(() => refused.apply(...given())).toThrow(message);
  });
});
