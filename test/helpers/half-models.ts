import { join } from "node:path";
import type * as tf from "@tensorflow/tfjs-core";
import { disposeWeights, type Layer, runStages } from "../../src/layers/index.ts";
import type { Autoencoder, SiglipTextModel, SwinForImageClassification, UNet } from "../../src/models/index.ts";
import { modelFrom } from "../../src/models/model-from.ts";
import { loadWeights, openSafetensors, saveWeights, type WeightSource } from "../../src/weights/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "./expected.ts";
import { fill } from "./formula.ts";
import { readConfig, readIds } from "./saved-model.ts";

// Models of which the reference knows what they give with weights that were rounded by `.half().float()`.

interface HalfModel {
  readonly name: string;
  readonly className: string;
  /** Where its config.json lies among what the reference made. */
  readonly config: string;
  /** The file of its weights, in float32; one that is made is put into the folder. */
  weights(model: Layer, folder: string): Promise<string>;
  /** The file of its inputs. */
  readonly inputs: string;
  /** Whether it gives pictures. */
  readonly isPicture?: boolean;
  run(model: Layer, inputs: WeightSource): Promise<tf.Tensor>;
}

const stored = (file: string) => async () => expectedPath(file);
const picture = async (source: WeightSource, name: string) => (await readTensor(source, name, "nhwc")) as tf.Tensor4D;

export const halfModels: readonly HalfModel[] = [
  {
    name: "unet",
    className: "UNet2DConditionModel",
    config: "unet/mitsua",
    weights: async (model, folder) => {
      const path = join(folder, "unet.safetensors");
      fill(model);
      await saveWeights(model, path);
      disposeWeights(model);
      return path;
    },
    inputs: "unet/mitsua/plain.safetensors",
    isPicture: true,
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
    isPicture: true,
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

/** How far a model on the active backend is from the reference with rounded weights, as a part of its largest number. */
export async function errorOf(halfModel: HalfModel, folder: string): Promise<number> {
  const { name, className, config, weights, inputs, isPicture, run } = halfModel;
  const model = modelFrom(className, await readConfig(config), config);
  const source = await openSafetensors(await weights(model, folder));
  const [given, outputs] = [await openExpected(inputs), await openExpected("half/outputs.safetensors")];
  await loadWeights(model, source);
  const found = await relativeError(
    await run(model, given),
    await readTensor(outputs, name, isPicture ? "nhwc" : undefined),
  );
  disposeWeights(model);
  await Promise.all([source.close(), given.close(), outputs.close()]);
  return found;
}
