import * as z from "zod";
import { only } from "../config.ts";
import type { TextEncoderSizes } from "../layers/text-encoder.ts";
import { activationNames } from "../ops/activations.ts";
import { layerCount, parseConfig, size } from "./config.ts";
import { fineTuning, partOfConfig, textSizes } from "./text-config.ts";

export interface ClipTextConfig extends TextEncoderSizes {
  /** Tokens that there are. */
  vocabSize: number;
  /** Tokens that fit into one text. */
  positions: number;
  /** The token that ends a text; the pooled vector is taken where it stands. 2 means where the highest id stands. */
  endToken: number;
  /** Channels of the pooled vector after its projection; absent where there is no projection. */
  projectionChannels?: number;
}

// A saved config.json leaves out what equals the defaults of transformers' CLIPTextConfig, which stand here.
const schema = z.object({
  architectures: z.array(z.string()).nullish(),
  model_type: only("clip_text_model"),
  vocab_size: size.default(49408),
  hidden_size: size.default(512),
  intermediate_size: size.default(2048),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(8),
  max_position_embeddings: size.default(77),
  hidden_act: z.enum(activationNames).default("quick_gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  projection_dim: size.default(512),
  eos_token_id: z.int().default(49407),
  // Of the tokenizer.
  ...{ pad_token_id: z.int().nullish(), bos_token_id: z.int().nullish() },
  ...fineTuning,
});

/**
 * The config of a saved CLIPTextModel or, where `architectures` says so, CLIPTextModelWithProjection; or the text part of
 * a CLIPModel, whose config.json holds it as `text_config`.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field that is wrong or not supported
 */
export function clipTextConfigFrom(json: unknown, where: string): ClipTextConfig {
  const text = partOfConfig("text_config", json, where);
  const fields = parseConfig(schema, text.json, text.where);
  return {
    ...textSizes(fields, text.where),
    endToken: fields.eos_token_id,
    ...(fields.architectures?.includes("CLIPTextModelWithProjection") && { projectionChannels: fields.projection_dim }),
  };
}

const openAi = { vocabSize: 49408, positions: 77, endToken: 2, eps: 1e-5 };

/** The text encoder of OpenAI's CLIP ViT-L/14: of Stable Diffusion 1, and the first of SDXL. */
export const clipVitL: ClipTextConfig = {
  ...openAi,
  channels: 768,
  mlpChannels: 3072,
  layers: 12,
  heads: 12,
  activation: "quick_gelu",
};

/** The text encoder of OpenCLIP ViT-H/14 without its last layer: of Stable Diffusion 2. */
export const openClipVitH: ClipTextConfig = {
  ...openAi,
  channels: 1024,
  mlpChannels: 4096,
  layers: 23,
  heads: 16,
  activation: "gelu",
};

/** The text encoder of OpenCLIP ViT-bigG/14: the second of SDXL. */
export const openClipVitBigG: ClipTextConfig = {
  ...openAi,
  channels: 1280,
  mlpChannels: 5120,
  layers: 32,
  heads: 20,
  activation: "gelu",
  projectionChannels: 1280,
};
