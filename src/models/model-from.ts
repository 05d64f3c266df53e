import { ConfigError } from "../errors.ts";
import { Autoencoder } from "./autoencoder.ts";
import { autoencoderConfigFrom } from "./autoencoder-config.ts";
import { ClipTextModel } from "./clip-text.ts";
import { clipTextConfigFrom } from "./clip-text-config.ts";
import { ClipVisionModel } from "./clip-vision.ts";
import { clipVisionConfigFrom } from "./clip-vision-config.ts";
import { SiglipTextModel } from "./siglip-text.ts";
import { siglipTextConfigFrom } from "./siglip-text-config.ts";
import { SwinForImageClassification } from "./swin.ts";
import { swinConfigFrom } from "./swin-config.ts";
import { UNet } from "./unet.ts";
import { unetConfigFrom } from "./unet-config.ts";

/** A model of a published system. */
export type Model = UNet | Autoencoder | SiglipTextModel | ClipTextModel | ClipVisionModel | SwinForImageClassification;

/** How a model is made of its config.json, by the name of its class in diffusers or transformers. */
const models: Readonly<Record<string, (json: unknown, where: string) => Model>> = {
  UNet2DConditionModel: (json, where) => new UNet(unetConfigFrom(json, where)),
  AutoencoderKL: (json, where) => new Autoencoder(autoencoderConfigFrom(json, where)),
  SiglipTextModel: (json, where) => new SiglipTextModel(siglipTextConfigFrom(json, where)),
  CLIPTextModel: (json, where) => new ClipTextModel(clipTextConfigFrom(json, where)),
  CLIPTextModelWithProjection: (json, where) =>
    new ClipTextModel(
      clipTextConfigFrom({ ...(json as object), architectures: ["CLIPTextModelWithProjection"] }, where),
    ),
  CLIPVisionModel: (json, where) => new ClipVisionModel(clipVisionConfigFrom(json, where)),
  CLIPVisionModelWithProjection: (json, where) =>
    new ClipVisionModel(
      clipVisionConfigFrom({ ...(json as object), architectures: ["CLIPVisionModelWithProjection"] }, where),
    ),
  SwinForImageClassification: (json, where) => new SwinForImageClassification(swinConfigFrom(json, where)),
};

/** Classes that custom code defines around a transformer of ours, told by `model_type` of their config.json or its `text_config`. */
const modelTypes: Readonly<Record<string, string>> = {
  siglip_text_model: "SiglipTextModel",
  clip_text_model: "CLIPTextModel",
  unet: "UNet2DConditionModel",
};

/**
 * The model that a config.json describes, without weights.
 * @param className its class in Python, from model_index.json
 * @throws ConfigError where it is none of ours
 */
export function modelFrom(className: string, json: unknown, where: string): Model {
  const type = modelType(json) ?? "";
  const known = Object.hasOwn(models, className) || !Object.hasOwn(modelTypes, type) ? className : modelTypes[type]!;
  if (Object.hasOwn(models, known)) return models[known]!(json, where);
  throw new ConfigError(
    `${where}: the class ${className} is not supported. Known are ${Object.keys(models).join(", ")}.`,
  );
}

/** Whether `modelFrom` would look at such a class: a network, not a tokenizer or a scheduler. */
export function isModelClass(className: string, json: unknown): boolean {
  return Object.hasOwn(models, className) || Object.hasOwn(modelTypes, modelType(json) ?? "");
}

function modelType(json: unknown): string | undefined {
  const { model_type: own, text_config: text } = (json ?? {}) as {
    model_type?: string;
    text_config?: { model_type?: string };
  };
  return text?.model_type ?? own;
}
