import * as z from "zod";
import { only } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { type ActivationName, activationNames } from "../ops/activations.ts";
import { layerCount, parseConfig, size } from "./config.ts";

export interface SwinStageConfig {
  /** Blocks. */
  depth: number;
  heads: number;
}

export interface SwinConfig {
  /** Channels of the picture. */
  inChannels: number;
  /** Pixels along a side of a patch. */
  patch: number;
  /** Channels of the first stage; each stage has twice those of the one before. */
  channels: number;
  stages: SwinStageConfig[];
  /** Patches along a side of a window. */
  window: number;
  /** Channels within an MLP for each channel outside. */
  mlpRatio: number;
  qkvBias: boolean;
  activation: ActivationName;
  /** Added to the variance in the norms, but for those of the embeddings and between stages, which have 1e-5. */
  eps: number;
  /** The classes' names, in the order of the logits. */
  labels: string[];
  /** Whether a picture has one of the labels (softmax), or each of them or not (sigmoid). */
  answer: "one label" | "each label";
}

const pair = z.tuple([size, size]);
const token = z.int().nullish();

// A saved config.json leaves out what equals the defaults of transformers' SwinConfig, which stand here.
const schema = z.object({
  model_type: only("swin"),
  num_channels: size.default(3),
  patch_size: z.union([size, pair]).default(4),
  embed_dim: size.default(96),
  depths: z.array(layerCount).min(1).max(8).default([2, 2, 6, 2]),
  num_heads: z.array(size).min(1).max(8).default([3, 6, 12, 24]),
  window_size: z.int().min(1).max(64).default(7),
  mlp_ratio: z.number().positive().max(64).default(4),
  qkv_bias: z.boolean().default(true),
  hidden_act: z.enum(activationNames).default("gelu"),
  layer_norm_eps: z.number().positive().default(1e-5),
  // transformers itself cannot run a Swin classifier with them: it adds a table of one row too many.
  use_absolute_embeddings: only(false),
  num_labels: size.nullish(),
  id2label: z.record(z.string(), z.string()).nullish(),
  problem_type: z.enum(["single_label_classification", "multi_label_classification"]).nullish(),
  pruned_heads: z.strictObject({}).nullish(),
  // What a picture is resized to is the image processor's to say; the model takes any size.
  image_size: z.union([size, pair]).nullish(),
  // The inverse of id2label, and what follows from the fields above.
  ...{ label2id: z.unknown().optional(), hidden_size: size.nullish(), num_layers: layerCount.nullish() },
  // Of Swin as a backbone, as a decoder's encoder, and of masked image modelling.
  ...{ stage_names: z.unknown().optional(), out_features: z.unknown().optional(), out_indices: z.unknown().optional() },
  ...{ add_cross_attention: only(false), is_decoder: only(false), encoder_stride: size.nullish() },
  ...{ pad_token_id: token, bos_token_id: token, eos_token_id: token },
  // Written by the conversion script of the first checkpoints, and read by nothing.
  path_norm: z.boolean().nullish(),
});

type Fields = z.output<typeof schema>;

/**
 * The config of a saved SwinForImageClassification. Where `problem_type` is not given, several labels exclude each other
 * (softmax) and a single one is a yes or no (sigmoid), as transformers' image classification has it.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field that is wrong or not supported
 */
export function swinConfigFrom(json: unknown, where: string): SwinConfig {
  const fields = parseConfig(schema, json, where);
  const labels = labelsOf(fields, where);
  const isMultiLabel = fields.problem_type ? fields.problem_type === "multi_label_classification" : labels.length === 1;
  return {
    inChannels: fields.num_channels,
    patch: patchOf(fields, where),
    channels: fields.embed_dim,
    stages: stagesOf(fields, where),
    window: fields.window_size,
    mlpRatio: fields.mlp_ratio,
    qkvBias: fields.qkv_bias,
    activation: fields.hidden_act,
    eps: fields.layer_norm_eps,
    labels,
    answer: isMultiLabel ? "each label" : "one label",
  };
}

function patchOf({ patch_size }: Fields, where: string): number {
  const [height, width] = typeof patch_size === "number" ? [patch_size, patch_size] : patch_size;
  if (height === width) return height;
  throw new ConfigError(`${where}: the field "patch_size" is [${patch_size}], but only square patches are supported.`);
}

function stagesOf({ depths, num_heads, embed_dim }: Fields, where: string): SwinStageConfig[] {
  if (depths.length !== num_heads.length) {
    throw new ConfigError(
      `${where}: the field "num_heads" has ${num_heads.length} entries and "depths" ${depths.length}; they must be as many.`,
    );
  }
  return depths.map((depth, index) => {
    const [heads, channels] = [num_heads[index]!, embed_dim * 2 ** index];
    if (channels % heads === 0) return { depth, heads };
    throw new ConfigError(
      `${where}: the field "num_heads" has ${heads} for stage ${index + 1}, whose ${channels} channels can't be shared out so.`,
    );
  });
}

function labelsOf({ id2label, num_labels }: Fields, where: string): string[] {
  // transformers' names where a file has none, and 2 of them where it does not even say how many.
  if (!id2label) return Array.from({ length: num_labels ?? 2 }, (_, index) => `LABEL_${index}`);
  const count = Object.keys(id2label).length;
  if (count === 0) throw new ConfigError(`${where}: the field "id2label" is empty; a classifier needs a label.`);
  if (num_labels && num_labels !== count) {
    throw new ConfigError(`${where}: the field "id2label" has ${count} labels, but "num_labels" is ${num_labels}.`);
  }
  return Array.from({ length: count }, (_, index) => {
    if (Object.hasOwn(id2label, `${index}`)) return id2label[index]!;
    throw new ConfigError(`${where}: the field "id2label" has ${count} labels, but none of the key "${index}".`);
  });
}

/** Swin-B for 1,000 classes, as Mitsua/swin-base-multi-fractal-1k. */
export const swinBase: SwinConfig = {
  inChannels: 3,
  patch: 4,
  channels: 128,
  stages: [
    { depth: 2, heads: 4 },
    { depth: 2, heads: 8 },
    { depth: 18, heads: 16 },
    { depth: 2, heads: 32 },
  ],
  window: 7,
  mlpRatio: 4,
  qkvBias: true,
  activation: "gelu",
  eps: 1e-5,
  labels: Array.from({ length: 1000 }, (_, index) => `LABEL_${index}`),
  answer: "one label",
};
