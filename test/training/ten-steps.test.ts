import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { type BackendName, useBackend } from "../../src/backends/index.ts";
import { readJsonFile } from "../../src/files.ts";
import { type Parameter, parameters } from "../../src/layers/index.ts";
import { Autoencoder } from "../../src/models/autoencoder.ts";
import { autoencoderConfigFrom } from "../../src/models/autoencoder-config.ts";
import { SiglipTextModel } from "../../src/models/siglip-text.ts";
import { siglipTextConfigFrom } from "../../src/models/siglip-text-config.ts";
import { UNet } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import { ddimConfigFrom } from "../../src/schedulers/index.ts";
import { openTokenizer } from "../../src/tokenizers/index.ts";
import {
  AdamW,
  clipGradients,
  Ema,
  learningRateAt,
  registerGradients,
  UNetTask,
  unetTask,
} from "../../src/training/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { fill, numbers, samples } from "../helpers/formula.ts";

beforeAll(registerGradients);

const tiny = new URL("../../weights/tiny/", import.meta.url).pathname;

/** The tiny system, of which only the UNet has weights. */
async function tinyTask(): Promise<UNetTask> {
  const read = async <T>(name: string, from: (json: unknown, where: string) => T): Promise<T> =>
    from(await readJsonFile(tiny + name), name);
  return new UNetTask({
    unet: new UNet(await read("unet/config.json", unetConfigFrom)),
    autoencoder: new Autoencoder(await read("vae/config.json", autoencoderConfigFrom)),
    textEncoder: new SiglipTextModel(await read("text_encoder/config.json", siglipTextConfigFrom)),
    tokenizer: await openTokenizer(`${tiny}tokenizer`),
    scheduler: await read("scheduler/scheduler_config.json", ddimConfigFrom),
  });
}

function batch(step: number) {
  const picture = (name: string) => tf.transpose(numbers(`${name}.${step}`, 2, 8, 8, 12) as tf.Tensor4D, [0, 2, 3, 1]);
  return tf.tidy(() => ({
    latents: picture("latents"),
    noise: tf.mul<tf.Tensor4D>(picture("noise"), 2),
    times: [999 - 37 * step, 100 * step],
    timeIds: [
      [64, 96, step, 0, 64, 96],
      [128, 100, 0, 3, 64, 96],
    ],
    text: {
      context: numbers(`context.${step}`, 2, 5, 32) as tf.Tensor3D,
      pooled: numbers(`pooled.${step}`, 2, 32) as tf.Tensor2D,
    },
  }));
}

/** As PyTorch holds it, with the channels of filters last, as the reference samples them. */
function sampled(tensor: tf.Tensor, { shape }: Parameter): tf.Tensor {
  return samples(shape.length === 4 ? tf.transpose(tensor, [3, 0, 1, 2]) : tensor);
}

const isThere = async (backend: BackendName) =>
  useBackend(backend).then(
    () => true,
    () => false,
  );

describe.each(["onnxruntime", "tensorflow"] as const)("ten steps of a tiny UNet on %s", async (backend) => {
  test.runIf(await isThere(backend))("are PyTorch's", { timeout: 300_000 }, async () => {
    await useBackend(backend);
    const expected = await openExpected("training/ten_steps.safetensors");
    const { losses, norms } = JSON.parse(await readFile(expectedPath("training/ten_steps.json"), "utf8"));
    const task = await tinyTask();
    fill(task.models.unet);
    const stage = unetTask.stage.parse({ minSnrGamma: 5 });
    const trained = task.trained(stage);
    const variables = trained.map(([, { value }]) => value as tf.Variable);
    const [optimizer, ema] = [new AdamW(trained), new Ema(trained, { decay: 0.9 })];

    for (let step = 0; step < 10; step++) {
      const given = batch(step);
      const learningRate = learningRateAt(step, { learningRate: 1e-3, warmUp: 4, end: "constant", steps: 10 });
      const figures = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => task.loss(given, stage), variables);
        const { gradients, norm } = clipGradients(
          variables.map(({ name }) => grads[name]!),
          0.5,
        );
        optimizer.step(gradients, learningRate);
        ema.update();
        return tf.stack([value, norm]);
      });
      const states = [...optimizer.state(), ...ema.state()].map(([, tensor]) => tensor);
      const { flush } = tf.backend() as { flush?(tensors: tf.Tensor[]): Promise<void> };
      await flush?.call(tf.backend(), [figures, ...variables, ...states]);
      const [loss, norm] = await figures.data();
      expect(Math.abs(loss! / losses[step] - 1), `loss of step ${step}`).toBeLessThanOrEqual(1e-4);
      expect(Math.abs(norm! / norms[step] - 1), `norm of step ${step}`).toBeLessThanOrEqual(1e-4);
      tf.dispose([given, figures]);
    }

    const named = new Map(parameters(task.models.unet));
    for (const [name, parameter] of named) {
      const error = await relativeError(sampled(parameter.value, parameter), await readTensor(expected, name));
      expect(error, name).toBeLessThanOrEqual(1e-4);
    }
    for (const [name, mean] of ema.state()) {
      const path = name.replace("ema.unet.", "");
      const wanted = await readTensor(expected, `ema.${path}`);
      expect(await relativeError(sampled(mean, named.get(path)!), wanted), name).toBeLessThanOrEqual(1e-4);
    }
    await expected.close();
  });
});
