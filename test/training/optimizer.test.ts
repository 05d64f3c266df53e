import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BackendName, useBackend } from "../../src/backends/index.ts";
import { type Named, Parameter } from "../../src/layers/index.ts";
import { AdamW, clipGradients, Ema } from "../../src/training/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { numbers } from "../helpers/formula.ts";

const shapes = { matrix: [3, 4], filter: [2, 3, 3, 3], bias: [5], gain: [2] };
const options = { beta1: 0.8, beta2: 0.95, weightDecay: 0.1 };

function weights(): Named<Parameter>[] {
  return Object.entries(shapes).map(([name, shape]) => {
    const parameter = new Parameter(shape); // its axes stand as PyTorch's, whatever it is
    parameter.assign(numbers(name, ...shape));
    return [name, parameter];
  });
}

function step(optimizer: AdamW, number: number): void {
  tf.tidy(() => {
    const gradients = Object.entries(shapes).map(([name, shape]) =>
      tf.mul(numbers(`${name}.${number}`, ...shape), 10 ** (number - 6)),
    );
    optimizer.step(gradients, 0.01 * (1 + number));
  });
}

/** Weights that nothing was done to yet, and what trains and averages them. */
function begin() {
  const trained = weights();
  return { trained, optimizer: new AdamW(trained, options), ema: new Ema(trained, { decay: 0.4 }) };
}

/** Takes the steps from one number to below another. */
function advance({ optimizer, ema }: { optimizer: AdamW; ema: Ema }, from: number, to: number): void {
  for (let number = from; number < to; number++) {
    step(optimizer, number);
    ema.update();
  }
}

let expected: WeightSource;
beforeAll(async () => {
  expected = await openExpected("training/optimizer.safetensors");
});
afterAll(() => expected.close());

async function expectNear(tensor: tf.Tensor, name: string): Promise<void> {
  const wanted = await readTensor(expected, name);
  expect(await relativeError(tensor, wanted), name).toBeLessThanOrEqual(1e-6);
  wanted.dispose();
}

const isThere = async (backend: BackendName) =>
  useBackend(backend).then(
    () => true,
    () => false,
  );

// The first composes each step, the others have kernels for it.
describe.each(["wasm", "tensorflow", "onnxruntime"] as const)("on %s", async (backend) => {
  const run = test.runIf(await isThere(backend));
  beforeAll(() => isThere(backend));

  run("ten steps of AdamW are torch's, and the average of the weights is diffusers'", async () => {
    const { trained, optimizer, ema } = begin();
    for (let number = 0; number < 10; number++) {
      advance({ optimizer, ema }, number, number + 1);
      for (const [name, { value }] of trained) await expectNear(value, `${name}.${number}`);
      for (const [name, mean] of ema.state()) await expectNear(mean, `${name}.${number}`);
    }
    for (const [name, moment] of optimizer.state()) await expectNear(moment, name);
    expect(optimizer.steps).toBe(10);
  });

  run("a restored optimizer and average go on as if nothing had happened", async () => {
    const { trained, optimizer, ema } = begin();
    advance({ optimizer, ema }, 0, 5);
    const kept = new Map([...optimizer.state(), ...ema.state()].map(([name, tensor]) => [name, tf.clone(tensor)]));
    const later = { optimizer: new AdamW(trained, options), ema: new Ema(trained, { decay: 0.4 }) };
    for (const one of Object.values(later)) one.restore((name) => kept.get(name)!, 5);
    advance(later, 5, 10);
    for (const [name, { value }] of trained) await expectNear(value, `${name}.9`);
    for (const [name, mean] of later.ema.state()) await expectNear(mean, `${name}.9`);
  });

  run("a step leaves alone what else has the weights and their moments", async () => {
    const trained = weights();
    const optimizer = new AdamW(trained, options);
    step(optimizer, 0);
    const held = [...trained.map(([, { value }]) => value), ...optimizer.state().map(([, moment]) => moment)];
    const before = await Promise.all(
      held.map(async (tensor) => [tf.clone(tensor), (await tensor.data()).slice()] as const),
    );
    step(optimizer, 1);
    for (const [tensor, values] of before) expect(await tensor.data()).toEqual(values);
  });

  run("an average changes places with the weights and back, and everything is freed in the end", async () => {
    const before = tf.memory().numTensors;
    const { trained, optimizer, ema } = begin();
    advance({ optimizer, ema }, 0, 3);
    const tensors = tf.memory().numTensors;
    ema.swap();
    for (const [name, { value }] of trained) await expectNear(value, `ema.${name}.2`);
    ema.swap();
    for (const [name, { value }] of trained) await expectNear(value, `${name}.2`);
    for (const [name, mean] of ema.state()) await expectNear(mean, `${name}.2`);
    expect(tf.memory().numTensors).toBe(tensors);

    optimizer.dispose();
    ema.dispose();
    for (const [, parameter] of trained) parameter.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  run.each([0.5, 100])("gradients are clipped to a norm of %f as by torch", async (limit) => {
    const clipping = await openExpected("training/clipping.safetensors");
    const { gradients, norm } = clipGradients([numbers("clip.0", 3, 4), numbers("clip.1", 7)], limit);
    expect(await relativeError(norm, await readTensor(clipping, `${limit}.norm`))).toBeLessThanOrEqual(1e-6);
    for (const [i, gradient] of gradients.entries()) {
      expect(await relativeError(gradient, await readTensor(clipping, `${limit}.${i}`))).toBeLessThanOrEqual(1e-6);
    }
    await clipping.close();
  });
});
