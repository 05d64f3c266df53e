import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Layer, parameters, ResnetBlock, TransformerBlock } from "../../src/layers/index.ts";
import { UNet } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import { registerGradients } from "../../src/training/gradients.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { lacking, type Subject } from "../accuracy/table.js";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { fill } from "../helpers/formula.ts";

beforeAll(registerGradients);

interface Case {
  name: "resnet block" | "transformer block" | "UNet";
  model: () => Promise<Layer>;
  /** The inputs, by the names of diffusers' arguments, in the order in which `run` takes them. */
  inputs: string[];
  run?: (model: Layer, inputs: tf.Tensor[]) => tf.Tensor;
}

const cases: Record<string, Case> = {
  resnet: {
    name: "resnet block",
    model: async () => new ResnetBlock(8, 16, { tembChannels: 12, groups: 4, eps: 1e-5 }),
    inputs: ["input_tensor", "temb"],
  },
  transformer_block: {
    name: "transformer block",
    model: async () => new TransformerBlock(16, { heads: 4, contextChannels: 12 }),
    inputs: ["hidden_states", "encoder_hidden_states"],
  },
  unet: {
    name: "UNet",
    model: async () => {
      const path = expectedPath("unet/stable_diffusion_2/config.json");
      return new UNet(unetConfigFrom(JSON.parse(await readFile(path, "utf8")), path));
    },
    inputs: ["sample", "encoder_hidden_states"],
    run: (unet, [latents, text]) => unet.apply(latents, 300, text) as tf.Tensor,
  },
};

/** The gradient of Σ output · direction is PyTorch's, by every input and by the weights that the reference chose. */
describe.each(Object.entries(cases))(
  "%s",
  (file, { name, model, inputs, run = (layer, x) => layer.apply(...x) as tf.Tensor }) => {
    let layer: Layer;
    let source: WeightSource;
    let given: tf.Tensor[];
    let along: (...x: tf.Tensor[]) => tf.Scalar;
    const read = (key: string) =>
      readTensor(source, key, source.entries.get(key)?.shape.length === 4 ? "nhwc" : undefined);

    beforeAll(async () => {
      layer = await model();
      fill(layer);
      source = await openExpected(`gradients/${file}.safetensors`);
      given = await Promise.all(inputs.map((key) => read(`input.${key}`)));
      const direction = await read("direction");
      along = (...x) => tf.sum(tf.mul(run(layer, x), direction));
    });
    afterAll(() => source.close());

    test("gradients by inputs", async () => {
      const gradients = () => tf.grads(along)(given);
      const subject: Subject = `gradients of a ${name} by its inputs`;
      if (isLacking(subject, gradients)) return;
      for (const [i, gradient] of gradients().entries()) {
        const error = await relativeError(gradient, await read(`gradient.${inputs[i]}`));
        expectAccurate(subject, error, inputs[i]);
      }
    });

    test("gradients by weights", async () => {
      const gradients = () => tf.variableGrads(() => along(...given)).grads;
      const subject: Subject = `gradients of a ${name} by its weights`;
      if (isLacking(subject, gradients)) return;
      const grads = gradients();
      const named = new Map(parameters(layer));
      const chosen = [...source.entries.keys()].filter((key) => key.startsWith("parameter."));
      expect(chosen.length).toBeGreaterThan(10);
      for (const key of chosen) {
        const parameter = named.get(key.slice("parameter.".length))!;
        const wanted = tf.transpose(await readTensor(source, key), [...parameter.axes]);
        const error = await relativeError(grads[(parameter.value as tf.Variable).name]!, wanted);
        expectAccurate(subject, error, key);
      }
    });
  },
);

/** Whether the backend has no kernel for it. Then nothing else fails. */
function isLacking(subject: Subject, compute: () => unknown): boolean {
  const kernel = lacking[tf.getBackend()]?.[subject];
  if (kernel) expect(compute).toThrow(`Kernel '${kernel}' not registered for backend '${tf.getBackend()}'`);
  return kernel !== undefined;
}
