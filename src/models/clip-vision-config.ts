import * as z from "zod";
import { only } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { TextEncoderSizes } from "../layers/text-encoder.ts";
import { activationNames } from "../ops/activations.ts";
import { layerCount, parseConfig, size } from "./config.ts";
import { fineTuning, partOfConfig } from "./text-config.ts";

export interface ClipVisionConfig extends TextEncoderSizes {
  /** Channels of the pictures: 3 for red, green, blue. */
  inChannels: number;
  /** Pixels along a side of the pictures, which are square. */
  imageSize: number;
  /** Pixels along a side of a patch. */
  patch: number;
  /** Channels of the pooled vector after its projection; absent where there is no projection. */
  projectionChannels?: number;
}

// A saved config.json leaves out what equals the defaults of transformers' CLIPVisionConfig, which stand here.
const schema = z.object({
  architectures: z.array(z.string()).nullish(),
  model_type: only("clip_vision_model"),
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  projection_dim: size.default(512),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(12),
  num_channels: size.default(3),
  image_size: size.default(224),
  patch_size: size.default(32),
  hidden_act: z.enum(activationNames).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  ...{ pad_token_id: z.int().nullish(), bos_token_id: z.int().nullish(), eos_token_id: z.int().nullish() },
  ...fineTuning,
});

/**
 * The config of a saved CLIPVisionModel or, where `architectures` says so, CLIPVisionModelWithProjection; or the part of a
 * model that joins text and pictures (CLIPModel, MitsuaJapaneseCLIPModel), whose config.json holds it as `vision_config`.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field that is wrong or not supported
 */
export function clipVisionConfigFrom(json: unknown, where: string): ClipVisionConfig {
  const vision = partOfConfig("vision_config", json, where);
  const fields = parseConfig(schema, vision.json, vision.where);
  checkTogether(fields, vision.where);
  const isProjected = vision.json !== json || fields.architectures?.includes("CLIPVisionModelWithProjection");
  return {
    inChannels: fields.num_channels,
    imageSize: fields.image_size,
    patch: fields.patch_size,
    channels: fields.hidden_size,
    mlpChannels: fields.intermediate_size,
    layers: fields.num_hidden_layers,
    heads: fields.num_attention_heads,
    activation: fields.hidden_act,
    eps: fields.layer_norm_eps,
    ...(isProjected && { projectionChannels: fields.projection_dim }),
  };
}

/** What can be wrong of a field only in the light of another. */
function checkTogether(fields: z.output<typeof schema>, where: string): void {
  const { hidden_size: channels, num_attention_heads: heads, image_size: side, patch_size: patch } = fields;
  if (channels % heads !== 0) {
    throw new ConfigError(
      `${where}: the field "hidden_size" is ${channels}, no multiple of "num_attention_heads", ${heads}.`,
    );
  }
  if (side < patch) {
    throw new ConfigError(`${where}: the field "patch_size" is ${patch}, but "image_size" is only ${side}.`);
  }
}
