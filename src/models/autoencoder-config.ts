import * as z from "zod";
import { ConfigError } from "../errors.ts";
import { layerCount, parseConfig, size } from "./config.ts";

export interface AutoencoderConfig {
  /** Channels of the pictures: 3 for red, green, blue. */
  inChannels: number;
  outChannels: number;
  latentChannels: number;
  /** The channels of each level, the finest first. From one level to the next, height and width are halved. */
  channels: readonly number[];
  /** Residual blocks of a level on the way down. On the way up there is one more. */
  layersPerBlock: number;
  /** Groups of every group normalization. */
  groups: number;
  /** Whether every cell of the coarsest level attends to every other. */
  midAttention: boolean;
  /** Whether a 1 × 1 convolution stands after the encoder. */
  quantConv: boolean;
  /** Whether one stands before the decoder. */
  postQuantConv: boolean;
  /** The side of the pictures it was trained on, in pixels: the tiles of `tiledDecode` are as large. */
  sampleSize: number;
  /** What latents are multiplied with before a UNet sees them, so that their variance is about 1. */
  scalingFactor: number;
  /** A shift of the latents. Only the pipelines of Stable Diffusion 3 and Flux apply it, those of UNets do not. */
  shiftFactor?: number | undefined;
  /** The mean and the standard deviation of each latent channel, where known: both or none. */
  latentsMean?: readonly number[] | undefined;
  latentsStd?: readonly number[] | undefined;
}

/** How many pixels wide and high one cell of the latents is. */
export function pixelsPerCell({ channels }: AutoencoderConfig): number {
  return 2 ** (channels.length - 1);
}

const blocks = (type: string) => z.array(z.literal(type)).default([type]);

/** The config.json of diffusers' AutoencoderKL, with its defaults. */
const schema = z.object({
  in_channels: size.default(3),
  out_channels: size.default(3),
  latent_channels: size.default(4),
  down_block_types: blocks("DownEncoderBlock2D"),
  up_block_types: blocks("UpDecoderBlock2D"),
  block_out_channels: z.array(size).min(1).max(16).default([64]),
  layers_per_block: layerCount.default(1),
  norm_num_groups: size.default(32),
  act_fn: z.enum(["silu", "swish"]).default("silu"), // two names of one function
  mid_block_add_attention: z.boolean().default(true),
  use_quant_conv: z.boolean().default(true),
  use_post_quant_conv: z.boolean().default(true),
  sample_size: z.union([size, z.tuple([size, size]).transform(([first]) => first)]).default(32), // as diffusers' tiles
  scaling_factor: z.number().positive().default(0.18215),
  shift_factor: z.number().nullish(),
  latents_mean: z.array(z.number()).nullish(),
  latents_std: z.array(z.number().positive()).nullish(),
  force_upcast: z.union([z.boolean(), z.number()]).nullish(), // from half to single precision, which is ours but for WebGPU's float16: docs/backends.md
});

/**
 * Reads the parsed config.json of diffusers' AutoencoderKL.
 * @param where the file's path, for messages
 * @throws ConfigError for a field or value that is not supported
 */
export function autoencoderConfigFrom(json: unknown, where: string): AutoencoderConfig {
  const fields = parseConfig(schema, json, where);
  checkTogether(fields, where);
  return {
    inChannels: fields.in_channels,
    outChannels: fields.out_channels,
    latentChannels: fields.latent_channels,
    channels: fields.block_out_channels,
    layersPerBlock: fields.layers_per_block,
    groups: fields.norm_num_groups,
    midAttention: fields.mid_block_add_attention,
    quantConv: fields.use_quant_conv,
    postQuantConv: fields.use_post_quant_conv,
    sampleSize: fields.sample_size,
    scalingFactor: fields.scaling_factor,
    shiftFactor: fields.shift_factor ?? undefined,
    latentsMean: fields.latents_mean ?? undefined,
    latentsStd: fields.latents_std ?? undefined,
  };
}

/** What can be wrong of a field only in the light of another. */
function checkTogether(fields: z.output<typeof schema>, where: string): void {
  const refuse = (field: keyof typeof fields, reason: string): never => {
    throw new ConfigError(`${where}: the field "${field}" is ${JSON.stringify(fields[field])}, but ${reason}.`);
  };
  const levels = fields.block_out_channels.length;
  for (const field of ["down_block_types", "up_block_types"] as const) {
    if (fields[field].length !== levels) refuse(field, `"block_out_channels" has ${levels} levels, each needs one`);
  }
  const uneven = fields.block_out_channels.find((channels) => channels % fields.norm_num_groups !== 0);
  if (uneven) refuse("norm_num_groups", `${uneven} channels do not divide into so many groups`);
  for (const field of ["latents_mean", "latents_std"] as const) {
    const { length = fields.latent_channels } = fields[field] ?? {};
    if (length !== fields.latent_channels) refuse(field, `there are ${fields.latent_channels} latent channels`);
  }
  if (fields.latents_mean && !fields.latents_std) refuse("latents_mean", `it means nothing without "latents_std"`);
  if (fields.latents_std && !fields.latents_mean) refuse("latents_std", `it means nothing without "latents_mean"`);
}

/** The autoencoder of Stable Diffusion 1.x (Rombach et al. 2022): 83,653,863 parameters. That of 2.x has the same shape. */
export const sdAutoencoder: AutoencoderConfig = {
  inChannels: 3,
  outChannels: 3,
  latentChannels: 4,
  channels: [128, 256, 512, 512],
  layersPerBlock: 2,
  groups: 32,
  midAttention: true,
  quantConv: true,
  postQuantConv: true,
  sampleSize: 512,
  scalingFactor: 0.18215,
};

/** The autoencoder of Stable Diffusion XL (Podell et al. 2023): the same shape, trained anew. */
export const sdxlAutoencoder: AutoencoderConfig = { ...sdAutoencoder, sampleSize: 1024, scalingFactor: 0.13025 };

/**
 * The autoencoder of Mitsua Likes, as far as it is known. Published: it has 8 latent channels. Inferred: everything else, from
 * Stable Diffusion's; its scaling factor is only diffusers' default. The config.json of the model's folder always wins.
 */
export const mitsuaLikesAutoencoder: AutoencoderConfig = { ...sdAutoencoder, latentChannels: 8, sampleSize: 768 };
