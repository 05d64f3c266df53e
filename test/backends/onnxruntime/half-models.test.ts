import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "../../../src/backends/index.ts";
import { disposeWeights, type Layer, runStages } from "../../../src/layers/index.ts";
import type { Autoencoder, SiglipTextModel, SwinForImageClassification, UNet } from "../../../src/models/index.ts";
import { modelFrom } from "../../../src/models/model-from.ts";
import { loadWeights, openSafetensors, saveWeights, type WeightSource } from "../../../src/weights/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../../helpers/expected.ts";
import { fill } from "../../helpers/formula.ts";
import { readConfig, readIds } from "../../helpers/saved-model.ts";

// The reference rounds the weights by `.half().float()`.

let folder: string;
let outputs: WeightSource;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "half-models-"));
  outputs = await openExpected("half/outputs.safetensors");
});
afterAll(async () => {
  await useBackend("onnxruntime", {});
  await outputs.close();
  await rm(folder, { recursive: true });
});

interface Case {
  readonly name: string;
  readonly className: string;
  /** Where its config.json lies among what the reference made. */
  readonly config: string;
  /** The file of its weights, in float32. */
  weights(model: Layer): Promise<string>;
  /** The file of its inputs. */
  readonly inputs: string;
  run(model: Layer, inputs: WeightSource): Promise<tf.Tensor>;
}

const stored = (file: string) => async () => expectedPath(file);
const picture = async (source: WeightSource, name: string) => (await readTensor(source, name, "nhwc")) as tf.Tensor4D;

const cases: Case[] = [
  {
    name: "unet",
    className: "UNet2DConditionModel",
    config: "unet/mitsua",
    weights: async (model) => {
      const path = join(folder, "unet.safetensors");
      fill(model);
      await saveWeights(model, path);
      disposeWeights(model);
      return path;
    },
    inputs: "unet/mitsua/plain.safetensors",
    run: async (model, inputs) => {
      const [time] = await (await readTensor(inputs, "timestep")).data();
      const context = (await readTensor(inputs, "encoder_hidden_states")) as tf.Tensor3D;
      const pooled = (await readTensor(inputs, "text_embeds")) as tf.Tensor2D;
      const timeIds = (await (await readTensor(inputs, "time_ids")).array()) as number[][];
      return (model as UNet).apply(await picture(inputs, "sample"), time!, context, { pooled, timeIds });
    },
  },
  {
    name: "text",
    className: "SiglipTextModel",
    config: "text/siglip",
    weights: stored("text/siglip/model.safetensors"),
    inputs: "text/siglip/expected.safetensors",
    run: async (model, inputs) => (model as SiglipTextModel).apply(await readIds(inputs)).lastHiddenState,
  },
  {
    name: "autoencoder",
    className: "AutoencoderKL",
    config: "autoencoder/four",
    weights: stored("autoencoder/four/weights.safetensors"),
    inputs: "autoencoder/four/io.safetensors",
    run: async (model, inputs) => runStages((model as Autoencoder).decode(await picture(inputs, "mean"))),
  },
  {
    name: "swin",
    className: "SwinForImageClassification",
    config: "swin/window7",
    weights: stored("swin/window7/model.safetensors"),
    inputs: "swin/window7/size56.safetensors",
    run: async (model, inputs) => (model as SwinForImageClassification).apply(await picture(inputs, "pictures")),
  },
];

describe.each(cases)("the model $name", ({ name, className, config, weights, inputs, run }) => {
  /** How far it is from the reference with rounded weights. */
  async function error(precision: "float32" | "float16"): Promise<number> {
    await useBackend("onnxruntime", { precision });
    const model = modelFrom(className, await readConfig(config), config);
    const [source, given] = [await openSafetensors(await weights(model)), await openExpected(inputs)];
    await loadWeights(model, source);
    const wanted = await readTensor(outputs, name, name === "unet" || name === "autoencoder" ? "nhwc" : undefined);
    const found = await relativeError(await run(model, given), wanted);
    disposeWeights(model);
    await Promise.all([source.close(), given.close()]);
    return found;
  }

  it("computes with the precision float16 what PyTorch does with rounded weights, and with float32 something else", async () => {
    expect(await error("float16")).toBeLessThan(1e-4);
    expect(await error("float32")).toBeGreaterThan(5e-4);
  });
});
