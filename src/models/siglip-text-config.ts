import * as z from "zod";
import { only } from "../config.ts";
import type { TextEncoderSizes } from "../layers/text-encoder.ts";
import { activationNames } from "../ops/activations.ts";
import { layerCount, parseConfig, size } from "./config.ts";
import { fineTuning, partOfConfig, textSizes } from "./text-config.ts";

export interface SiglipTextConfig extends TextEncoderSizes {
  /** Tokens that there are. */
  vocabSize: number;
  /** Tokens that fit into one text. */
  positions: number;
  /** Channels of the pooled vector. */
  projectionChannels: number;
}

// A saved config.json leaves out what equals the defaults of transformers' SiglipTextConfig, which stand here.
const schema = z.object({
  model_type: only("siglip_text_model"),
  vocab_size: size.default(32000),
  hidden_size: size.default(768),
  intermediate_size: size.default(3072),
  num_hidden_layers: layerCount.default(12),
  num_attention_heads: size.default(12),
  max_position_embeddings: size.default(64),
  hidden_act: z.enum(activationNames).default("gelu_pytorch_tanh"),
  layer_norm_eps: z.number().positive().default(1e-6),
  // Absent in transformers 4.44, where the head is square.
  projection_size: size.nullish(),
  // Of the tokenizer and of the wrapper around this model.
  ...{ pad_token_id: z.int().nullish(), bos_token_id: z.int().nullish(), eos_token_id: z.int().nullish() },
  projection_dim: size.nullish(),
  ...fineTuning,
});

/**
 * The config of a saved SiglipTextModel, or the text part of a model that joins text and pictures (SiglipModel,
 * MitsuaJapaneseCLIPModel), whose config.json holds it as `text_config`.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field that is wrong or not supported
 */
export function siglipTextConfigFrom(json: unknown, where: string): SiglipTextConfig {
  const text = partOfConfig("text_config", json, where);
  const fields = parseConfig(schema, text.json, text.where);
  return {
    ...textSizes(fields, text.where),
    projectionChannels: fields.projection_size ?? fields.hidden_size,
  };
}

/** The text encoder of Mitsua Japanese CLIP ViT-B/16, which Mitsua Likes uses: 64,000 pieces, 12 layers of 768 channels. */
export const mitsuaJapaneseClip: SiglipTextConfig = {
  vocabSize: 64000,
  positions: 64,
  channels: 768,
  mlpChannels: 3072,
  layers: 12,
  heads: 12,
  activation: "gelu",
  eps: 1e-5,
  projectionChannels: 768,
};
