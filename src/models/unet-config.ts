import * as z from "zod";
import { absent, ignored, only } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { parseConfig, size } from "./config.ts";

/** A transformer after each resnet of a block. */
export interface LevelTransformers {
  heads: number;
  /** What the first attention of a transformer block looks at: the picture itself, or the text as the second does. */
  firstAttention: "self" | "context";
  /** Transformer blocks, an entry for each resnet. 0 leaves a norm and two projections. */
  depths: readonly number[];
}

/** One resolution of a UNet. */
export interface UNetLevel {
  channels: number;
  /** Resnets on the way down; the way up has one more. */
  layers: number;
  /** Its transformers on the way down, and on the way up; undefined where it has none. */
  down: LevelTransformers | undefined;
  up: LevelTransformers | undefined;
}

/** What the classes of a UNet are, and how the embedding of one joins that of the time. */
export interface ClassEmbedding {
  /**
   * `table`: an index, looked up. `timestep`: a number, embedded as the time is. `mlp` and `linear`: a vector, projected by
   * two layers or by one. `identity`: a vector, as it is.
   */
  kind: "table" | "timestep" | "mlp" | "linear" | "identity";
  /** Entries of the table, or channels of the vector; undefined for the other kinds. */
  inChannels: number | undefined;
  join: "add" | "concat";
}

/** All that a UNet needs to be built. */
export interface UNetConfig {
  inChannels: number;
  outChannels: number;
  /** The finest resolution first. */
  levels: readonly UNetLevel[];
  /** The block between the ways: a resnet, and with transformers a second resnet after them. Undefined where there is none. */
  mid: { transformers: LevelTransformers | undefined } | undefined;
  /** Channels of the text that the transformers see. */
  contextChannels: number;
  /** Channels of the text as it is given, where it is projected to `contextChannels` first. */
  textChannels: number | undefined;
  /** The time's sinusoid has as many channels as the finest level, its embedding has `channels`. */
  time: {
    channels: number;
    flipSinToCos: boolean;
    freqShift: number;
    /** Channels of an optional second input to the embedding. */
    conditionChannels: number | undefined;
  };
  classEmbedding: ClassEmbedding | undefined;
  /** SDXL's added conditions: numbers as sinusoids, joined to the pooled text, `channels` together. */
  textTime: { sinusoidChannels: number; channels: number } | undefined;
  /** Of all group norms; the transformers' have an eps of their own. */
  groups: number;
  eps: number;
  timeScaleShift: "default" | "scale_shift";
  projection: "linear" | "conv";
  downsamplePadding: 1 | "end";
  /** Sides of the first and the last filter. */
  inKernel: number;
  outKernel: number;
  /** Whether inputs lie in 0…1 and are brought to −1…1. */
  centerInput: boolean;
}

const downTypes = ["DownBlock2D", "CrossAttnDownBlock2D"] as const;
const upTypes = ["UpBlock2D", "CrossAttnUpBlock2D"] as const;
const midTypes = ["UNetMidBlock2DCrossAttn", "UNetMidBlock2D"] as const;
// The bounds keep a lying file from filling memory with layers.
const depth = z.int().min(0).max(64);
const layerCount = z.int().min(1).max(32);
const maxLevels = 8;
const kernel = z.literal([1, 3, 5, 7, 9]);

function perLevel<T extends z.ZodType>(value: T) {
  return z.union([value, z.array(value)]);
}

/** diffusers 0.31's UNet2DConditionModel, with its defaults. */
const schema = z.object({
  in_channels: size.default(4),
  out_channels: size.default(4),
  center_input_sample: z.boolean().default(false),
  flip_sin_to_cos: z.boolean().default(true),
  freq_shift: z.number().min(0).max(1).default(0),
  down_block_types: z
    .array(z.enum(downTypes))
    .min(1)
    .max(maxLevels)
    .default([downTypes[1], downTypes[1], downTypes[1], downTypes[0]]),
  mid_block_type: z.enum(midTypes).nullable().default("UNetMidBlock2DCrossAttn"),
  up_block_types: z.array(z.enum(upTypes)).default([upTypes[0], upTypes[1], upTypes[1], upTypes[1]]),
  only_cross_attention: perLevel(z.boolean()).default(false),
  block_out_channels: z.array(size).default([320, 640, 1280, 1280]),
  layers_per_block: perLevel(layerCount).default(2),
  downsample_padding: z.literal([0, 1]).default(1),
  act_fn: z.enum(["silu", "swish"]).default("silu"),
  norm_num_groups: size.default(32),
  norm_eps: z.number().positive().default(1e-5),
  cross_attention_dim: perLevel(size).default(1280),
  transformer_layers_per_block: z.union([depth, z.array(z.union([depth, z.array(depth)]))]).default(1),
  reverse_transformer_layers_per_block: z.array(z.union([depth, z.array(depth)])).nullish(),
  encoder_hid_dim: size.nullish(),
  encoder_hid_dim_type: only("text_proj"),
  // The number of heads: diffusers kept the wrong name (its issue 2011), and refuses the right one.
  attention_head_dim: perLevel(size).default(8),
  num_attention_heads: absent,
  use_linear_projection: z.boolean().default(false),
  class_embed_type: z.enum(["timestep", "identity", "projection", "simple_projection"]).nullish(),
  num_class_embeds: size.nullish(),
  class_embeddings_concat: z.boolean().default(false),
  addition_embed_type: only("text_time"),
  addition_time_embed_dim: size.nullish(),
  projection_class_embeddings_input_dim: size.nullish(),
  resnet_time_scale_shift: z.enum(["default", "scale_shift"]).default("default"),
  time_embedding_dim: size.nullish(),
  time_cond_proj_dim: size.nullish(),
  conv_in_kernel: kernel.default(3),
  conv_out_kernel: kernel.default(3),

  // Supported as they almost always are.
  dual_cross_attention: only(false),
  mid_block_scale_factor: only(1),
  mid_block_only_cross_attention: only(false),
  resnet_skip_time_act: only(false),
  resnet_out_scale_factor: only(1),
  time_embedding_type: only("positional"),
  time_embedding_act_fn: absent,
  timestep_post_act: absent,
  attention_type: only("default"),
  cross_attention_norm: absent,

  // Without effect: the size that pictures had in training, a matter of half precision, and an option of a refused kind.
  sample_size: ignored,
  upcast_attention: ignored,
  addition_embed_type_num_heads: ignored,
});

type Fields = z.output<typeof schema>;

/**
 * Reads the config.json of a diffusers UNet2DConditionModel.
 * @param where the file's path, for messages
 * @throws ConfigError that names the field which is wrong or not supported
 */
export function unetConfigFrom(json: unknown, where: string): UNetConfig {
  const fields = parseConfig(schema, json, where);
  try {
    return adapt(fields);
  } catch (error) {
    throw error instanceof ConfigError ? new ConfigError(`${where}: ${error.message}`) : error;
  }
}

function adapt(fields: Fields): UNetConfig {
  const levels = levelsOf(fields);
  const finest = levels[0]!;
  const textTime = fields.addition_embed_type ? textTimeOf(fields) : undefined;
  const classEmbedding = classEmbeddingOf(fields);
  if (textTime && classEmbedding?.join === "concat") {
    refuse("class_embeddings_concat", true, 'it must be false where "addition_embed_type" is set');
  }
  return {
    inChannels: fields.in_channels,
    outChannels: fields.out_channels,
    levels,
    mid: midOf(fields, levels.at(-1)!),
    contextChannels: contextChannelsOf(fields),
    textChannels: textChannelsOf(fields),
    time: {
      channels: fields.time_embedding_dim ?? 4 * finest.channels,
      flipSinToCos: fields.flip_sin_to_cos,
      freqShift: fields.freq_shift,
      conditionChannels: fields.time_cond_proj_dim ?? undefined,
    },
    classEmbedding,
    textTime,
    groups: fields.norm_num_groups,
    eps: fields.norm_eps,
    timeScaleShift: fields.resnet_time_scale_shift,
    projection: fields.use_linear_projection ? "linear" : "conv",
    downsamplePadding: fields.downsample_padding === 1 ? 1 : "end",
    inKernel: fields.conv_in_kernel,
    outKernel: fields.conv_out_kernel,
    centerInput: fields.center_input_sample,
  };
}

function levelsOf(fields: Fields): UNetLevel[] {
  const count = fields.down_block_types.length;
  const spread = <F extends keyof Fields>(field: F) => spreadOver(count, field, fields[field]);
  const channels = spread("block_out_channels") as number[];
  const layers = spread("layers_per_block") as number[];
  const upTypes = (spread("up_block_types") as string[]).toReversed();
  const heads = spread("attention_head_dim") as number[];
  const onlyCross = spread("only_cross_attention") as boolean[];
  const down = spread("transformer_layers_per_block") as Depths[];
  const up = upDepths(fields, count);

  return channels.map((width, i) => {
    if (width % fields.norm_num_groups !== 0) {
      refuse("block_out_channels", width, `it must be a multiple of "norm_num_groups", ${fields.norm_num_groups}`);
    }
    const transformers = (type: string, field: keyof Fields, depths: Depths, length: number) =>
      type.startsWith("CrossAttn")
        ? {
            heads: dividing(heads[i]!, width),
            firstAttention: onlyCross[i] ? ("context" as const) : ("self" as const),
            depths: depthsOf(field, depths, length),
          }
        : undefined;
    return {
      channels: width,
      layers: layers[i]!,
      down: transformers(fields.down_block_types[i]!, "transformer_layers_per_block", down[i]!, layers[i]!),
      up: transformers(upTypes[i]!, up.field, up.depths[i]!, layers[i]! + 1),
    };
  });
}

/** Transformer blocks of a level: for all its layers, or for each. */
type Depths = number | readonly number[];

/** What the levels have on the way up, the finest first. */
function upDepths(fields: Fields, count: number): { field: keyof Fields; depths: Depths[] } {
  const reversed = "reverse_transformer_layers_per_block";
  if (fields[reversed]) {
    return { field: reversed, depths: (spreadOver(count, reversed, fields[reversed]) as Depths[]).toReversed() };
  }
  const field = "transformer_layers_per_block";
  const depths = spreadOver(count, field, fields[field]) as Depths[];
  const nested = depths.find((entry) => typeof entry !== "number");
  if (nested) refuse(field, nested, `a list for each layer needs "${reversed}", for the way up`);
  return { field, depths };
}

function depthsOf(field: keyof Fields, depths: Depths, layers: number): readonly number[] {
  if (typeof depths === "number") return Array(layers).fill(depths);
  if (depths.length !== layers) refuse(field, depths, `a list for each layer must have ${layers} entries here`);
  return depths;
}

function dividing(heads: number, channels: number): number {
  if (channels % heads !== 0) {
    refuse(
      "attention_head_dim",
      heads,
      `it is the number of heads, which must divide the level's ${channels} channels`,
    );
  }
  return heads;
}

function midOf(fields: Fields, last: UNetLevel): UNetConfig["mid"] {
  if (fields.mid_block_type === null) return undefined;
  if (fields.mid_block_type === "UNetMidBlock2D") return { transformers: undefined };
  const heads = spreadOver(fields.down_block_types.length, "attention_head_dim", fields.attention_head_dim) as number[];
  const depths = [fields.transformer_layers_per_block].flat(1).at(-1)!;
  // Of a list for each layer diffusers takes the first, as the middle has one transformer. It has self-attention in any case.
  const depth = typeof depths === "number" ? depths : depths[0];
  if (depth === undefined) refuse("transformer_layers_per_block", depths, "it must have an entry for the middle");
  return { transformers: { heads: dividing(heads.at(-1)!, last.channels), firstAttention: "self", depths: [depth] } };
}

function contextChannelsOf(fields: Fields): number {
  const [first, ...others] = [fields.cross_attention_dim].flat();
  if (first === undefined || others.some((other) => other !== first)) {
    refuse(
      "cross_attention_dim",
      fields.cross_attention_dim,
      "all levels see the same text, and must have the same value",
    );
  }
  return first;
}

function textChannelsOf(fields: Fields): number | undefined {
  if (fields.encoder_hid_dim_type && !fields.encoder_hid_dim) {
    refuse("encoder_hid_dim", fields.encoder_hid_dim, 'it must be set where "encoder_hid_dim_type" is');
  }
  return fields.encoder_hid_dim ?? undefined;
}

function textTimeOf(fields: Fields): UNetConfig["textTime"] {
  return {
    sinusoidChannels: required(fields, "addition_time_embed_dim", "addition_embed_type"),
    channels: required(fields, "projection_class_embeddings_input_dim", "addition_embed_type"),
  };
}

const classKinds = {
  timestep: "timestep",
  identity: "identity",
  projection: "mlp",
  simple_projection: "linear",
} as const;

function classEmbeddingOf(fields: Fields): ClassEmbedding | undefined {
  const { class_embed_type: type, num_class_embeds: count } = fields;
  const join = fields.class_embeddings_concat ? "concat" : "add";
  if (type && count) refuse("num_class_embeds", count, 'it must be null where "class_embed_type" is set');
  if (count) return { kind: "table", inChannels: count, join };
  if (!type) {
    if (join === "concat") refuse("class_embeddings_concat", true, "there is no class embedding to concatenate");
    return undefined;
  }
  const isProjected = type === "projection" || type === "simple_projection";
  const inChannels = isProjected
    ? required(fields, "projection_class_embeddings_input_dim", "class_embed_type")
    : undefined;
  return { kind: classKinds[type], inChannels, join };
}

function required(
  fields: Fields,
  field: "addition_time_embed_dim" | "projection_class_embeddings_input_dim",
  asked: keyof Fields,
): number {
  return (
    fields[field] ?? refuse(field, fields[field], `it must be set where "${asked}" is ${JSON.stringify(fields[asked])}`)
  );
}

/** A value for all levels, or one for each: → one for each. */
function spreadOver(count: number, field: keyof Fields, value: unknown): unknown[] {
  if (!Array.isArray(value)) return Array(count).fill(value);
  if (value.length !== count) {
    refuse(field, value, `it must have ${count} entries, as many as "down_block_types"`);
  }
  return value;
}

function refuse(field: keyof Fields, value: unknown, expected: string): never {
  throw new ConfigError(
    `the field "${field}" is ${JSON.stringify(value ?? null)}, which is not supported: ${expected}.`,
  );
}
