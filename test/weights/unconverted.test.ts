import { readFile } from "node:fs/promises";
import type * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { disposeWeights, type Layer, parameters } from "../../src/layers/index.ts";
import { modelFrom } from "../../src/models/model-from.ts";
import { loadWeights, openWeights } from "../../src/weights/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

const configured = async (className: string, folder: string) => {
  const path = expectedPath(`weights/${folder}/config.json`);
  return modelFrom(className, JSON.parse(await readFile(path, "utf8")), path);
};

async function loadFrom(model: Layer, path: string): Promise<void> {
  const source = await openWeights(expectedPath(path));
  await loadWeights(model, source);
  await source.close();
}

// A whole model in float32: a relative error of 1e-4 at most.
test.each(["timm", "old_timm", "transformers"])(
  "a Swin loaded from %s's file gives the logits that timm gives",
  async (file) => {
    const swin = await configured("SwinForImageClassification", "swin");
    await loadFrom(swin, `weights/swin/${file}.safetensors`);
    const run = await openExpected("weights/swin/run.safetensors");
    const logits = (swin as Layer<[tf.Tensor4D], tf.Tensor>).apply(
      (await readTensor(run, "picture", "nhwc")) as tf.Tensor4D,
    );
    expect(await relativeError(logits, await readTensor(run, "logits"))).toBeLessThan(1e-4);
    await run.close();
    disposeWeights(swin);
  },
);

test("an autoencoder with old attention names is loaded as it is, from its folder", async () => {
  const old = await configured("AutoencoderKL", "old_attention");
  const today = await configured("AutoencoderKL", "old_attention");
  await loadFrom(old, "weights/old_attention");
  await loadFrom(today, "weights/old_attention/today.safetensors");
  const wanted = new Map(parameters(today));
  for (const [name, parameter] of parameters(old)) {
    expect(await parameter.value.data(), name).toEqual(await wanted.get(name)!.value.data());
  }
  disposeWeights(old);
  disposeWeights(today);
});
