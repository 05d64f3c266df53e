import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { useBackend } from "../../src/backends/index.ts";
import { type Layer, parameters, ResnetBlock, TransformerBlock } from "../../src/layers/index.ts";
import { UNet } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { fill } from "../helpers/formula.ts";
import { registerGradients } from "../helpers/gradients.ts";

// Measured: within 6e-6.
const tolerance = 1e-4;

beforeAll(registerGradients);

interface Case {
  model: () => Promise<Layer>;
  /** The inputs, by the names of diffusers' arguments, in the order in which `run` takes them. */
  inputs: string[];
  run?: (model: Layer, inputs: tf.Tensor[]) => tf.Tensor;
}

const cases: Record<string, Case> = {
  resnet: {
    model: async () => new ResnetBlock(8, 16, { tembChannels: 12, groups: 4, eps: 1e-5 }),
    inputs: ["input_tensor", "temb"],
  },
  transformer_block: {
    model: async () => new TransformerBlock(16, { heads: 4, contextChannels: 12 }),
    inputs: ["hidden_states", "encoder_hidden_states"],
  },
  unet: {
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
  (name, { model, inputs, run = (layer, x) => layer.apply(...x) as tf.Tensor }) => {
    // wasm lacks the kernels of most gradients.
    test.each(["cpu", "onnxruntime"] as const)("gradients by inputs and by weights: %s", async (backend) => {
      await useBackend(backend);
      const layer = await model();
      fill(layer);
      const source = await openExpected(`gradients/${name}.safetensors`);
      const isPicture = (key: string) => source.entries.get(key)?.shape.length === 4;
      const read = (key: string) => readTensor(source, key, isPicture(key) ? "nhwc" : undefined);

      const direction = await read("direction");
      const given = await Promise.all(inputs.map((key) => read(`input.${key}`)));
      const along = (...x: tf.Tensor[]) => tf.sum(tf.mul(run(layer, x), direction)) as tf.Scalar;
      for (const [i, gradient] of tf.grads(along)(given).entries()) {
        const error = await relativeError(gradient, await read(`gradient.${inputs[i]}`));
        expect(error, inputs[i]).toBeLessThan(tolerance);
      }

      const { grads } = tf.variableGrads(() => along(...given));
      const named = new Map(parameters(layer));
      const chosen = [...source.entries.keys()].filter((key) => key.startsWith("parameter."));
      expect(chosen.length).toBeGreaterThan(10);
      for (const key of chosen) {
        const parameter = named.get(key.slice("parameter.".length))!;
        const wanted = tf.transpose(await readTensor(source, key), [...parameter.axes]);
        const error = await relativeError(grads[(parameter.value as tf.Variable).name]!, wanted);
        expect(error, key).toBeLessThan(tolerance);
      }
      await source.close();
    });
  },
);
