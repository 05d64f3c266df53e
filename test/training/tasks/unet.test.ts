import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { useBackend } from "../../../src/backends/index.ts";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/backend.ts";
import { AdamW, Draws, type Example, registerGradients, type UNetTask, unetTask } from "../../../src/training/index.ts";

// wasm has no gradients of convolutions.
beforeAll(() => useBackend("onnxruntime"));
beforeAll(registerGradients);

const tiny = new URL("../../../weights/tiny", import.meta.url).pathname;
const folders = {
  unet: `${tiny}/unet`,
  vae: `${tiny}/vae`,
  text_encoder: `${tiny}/text_encoder`,
  tokenizer: `${tiny}/tokenizer`,
  scheduler: `${tiny}/scheduler`,
};

function example(i: number): Example {
  const [width, height] = [32, 48];
  const data = Uint8Array.from({ length: width * height * 3 }, (_, j) => (j * (i + 3)) % 256);
  const picture = { width, height, data };
  return { picture, key: `${i}`, captions: ["花", "a flower"], labels: [], original: [64, 96], crop: [1, 2] };
}

/** Computes all of a step as one graph, as the trainer does. */
const computed = (tensors: tf.Tensor[]) => (tf.backend() as OnnxRuntimeBackend).flush(tensors);

const open = () => unetTask.open(unetTask.model.parse(folders), { seed: 1 }) as Promise<UNetTask>;
const stageOf = (options: object) => unetTask.stage.parse(options);
const examples = [example(0), example(1), example(2)];

describe.each(["unet", "text", "both"] as const)("training of %s", (train) => {
  test("lowers the loss of a batch, and leaves no tensor", async () => {
    const task = await open();
    const stage = stageOf({ train, minSnrGamma: 5, immiscible: true, dropCaption: 0.5 });
    const trained = task.trained(stage);
    const optimizer = new AdamW(trained);
    const variables = trained.map(([, { value }]) => value as tf.Variable);
    const losses: number[] = [];
    let tensors = 0;
    for (let step = 0; step < 4; step++) {
      const batch = await task.prepare(examples, new Draws(1, 0), stage);
      const loss = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => task.loss(batch, stage), variables);
        expect(Object.keys(grads).length).toBeGreaterThan(variables.length - 5);
        optimizer.step(
          variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable)),
          1e-3,
        );
        return value;
      });
      await computed([loss, ...variables, ...optimizer.state().map(([, tensor]) => tensor)]);
      losses.push((await loss.data())[0]!);
      tf.dispose([loss, batch]);
      if (step > 0) expect(tf.memory().numTensors).toBe(tensors);
      tensors = tf.memory().numTensors;
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
  });
});

test("a batch follows from the draws, and its latents do not depend on the others", async () => {
  const task = await open();
  const stage = stageOf({});
  const latents = async (of: Example[]) => {
    const batch = await task.prepare(of, new Draws(3, 4), stage);
    return { ...batch, latents: await batch.latents.array(), noise: await batch.noise.array() };
  };
  const [all, again, alone] = [await latents(examples), await latents(examples), await latents([examples[1]!])];
  expect(again.latents).toEqual(all.latents);
  expect(again.noise).toEqual(all.noise);
  expect(again.times).toEqual(all.times);
  expect(alone.latents[0]).toEqual(all.latents[1]);
  expect(all.timeIds[0]).toEqual([96, 64, 1, 2, 48, 32]);
});

test("a stage may train some of the steps of noise alone", async () => {
  const task = await open();
  const timesOf = async (timesteps: [number, number]) => {
    const batch = await task.prepare(examples, new Draws(3, 4), stageOf({ timesteps }));
    return batch.times;
  };
  expect(await timesOf([998, 998])).toEqual([998, 998, 998]);
  for (const time of await timesOf([990, 999])) expect(time).toBeGreaterThanOrEqual(990);
  await expect(timesOf([600, 1000])).rejects.toThrow("the scheduler's are from 0 to 999");
  expect(() => stageOf({ timesteps: [2, 1] })).toThrow("the first must not come after the last");
});

test("samples are drawn for either objective", async () => {
  const task = await open();
  for (const objective of ["epsilon", "v_prediction"] as const) {
    tf.dispose(await task.prepare(examples, new Draws(0, 0), stageOf({ objective })));
    const before = tf.memory().numTensors;
    const { pictures } = await task.sample(examples.slice(0, 2));
    expect(tf.memory().numTensors).toBe(before);
    expect(pictures.map(({ width, height }) => [width, height])).toEqual([
      [32, 48],
      [32, 48],
    ]);
  }
});
