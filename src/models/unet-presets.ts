import type { LevelTransformers, UNetConfig, UNetLevel } from "./unet-config.ts";

const usual = {
  textChannels: undefined,
  classEmbedding: undefined,
  groups: 32,
  eps: 1e-5,
  timeScaleShift: "default",
  downsamplePadding: 1,
  inKernel: 3,
  outKernel: 3,
  centerInput: false,
} as const;

function time(channels: number): UNetConfig["time"] {
  return { channels, flipSinToCos: true, freqShift: 0, conditionChannels: undefined };
}

/** Two resnets on the way down and three on the way up, each with a transformer after it where a depth is given. */
function level(channels: number, transformers?: { heads: number; depth: number }): UNetLevel {
  return {
    channels,
    layers: 2,
    down: transformers && deep(transformers, 2),
    up: transformers && deep(transformers, 3),
  };
}

function deep({ heads, depth }: { heads: number; depth: number }, layers: number): LevelTransformers {
  return { heads, firstAttention: "self", depths: Array(layers).fill(depth) };
}

/**
 * Mitsua Likes' UNet as far as it can be told: 1,289,823,752 parameters. Its own config.json is gated and was not read;
 * where a folder has one, that always wins.
 *
 * Published on its model card: 384 channels at the finest level, transformer depths "about [0,2,3]" in SDXL's [0,2,10], no
 * cross-attention in the middle, "approx 1.2 B" parameters, 8 latent channels, one text encoder. From code that drives its
 * pipeline: SDXL's added conditions (`text_time`).
 *
 * Inferred: the widths 384, 768, 1536 and heads of 64 channels (those of SDXL's refiner, which begins with 384 too); 768 text
 * channels (its text encoder's); the same depths on the way up as on the way down; a middle of one resnet, which is what
 * diffusers makes of a middle without attention; linear projections and 256 sinusoid channels, as in SDXL. With no
 * middle at all there would be 1,245.0 million parameters; with depths [0,2,2] down and [3,2,0] up, 1,200.1 million.
 */
export const mitsuaLikesUNet: UNetConfig = {
  ...usual,
  inChannels: 8,
  outChannels: 8,
  levels: [level(384), level(768, { heads: 12, depth: 2 }), level(1536, { heads: 24, depth: 3 })],
  mid: { transformers: undefined },
  contextChannels: 768,
  time: time(1536),
  textTime: { sinusoidChannels: 256, channels: 2304 },
  projection: "linear",
};

/** Stable Diffusion 1.1 to 1.5 (Rombach et al. 2022): 859,520,964 parameters. */
export const stableDiffusion15UNet: UNetConfig = {
  ...usual,
  inChannels: 4,
  outChannels: 4,
  levels: [
    level(320, { heads: 8, depth: 1 }),
    level(640, { heads: 8, depth: 1 }),
    level(1280, { heads: 8, depth: 1 }),
    level(1280),
  ],
  mid: { transformers: deep({ heads: 8, depth: 1 }, 1) },
  contextChannels: 768,
  time: time(1280),
  textTime: undefined,
  projection: "conv",
};

/** Stable Diffusion 2.0 and 2.1, with heads of 64 channels: 865,910,724 parameters. */
export const stableDiffusion21UNet: UNetConfig = {
  ...stableDiffusion15UNet,
  levels: [
    level(320, { heads: 5, depth: 1 }),
    level(640, { heads: 10, depth: 1 }),
    level(1280, { heads: 20, depth: 1 }),
    level(1280),
  ],
  mid: { transformers: deep({ heads: 20, depth: 1 }, 1) },
  contextChannels: 1024,
  projection: "linear",
};

/** Stable Diffusion XL (Podell et al. 2023), base: 2,567,463,684 parameters. */
export const sdxlUNet: UNetConfig = {
  ...usual,
  inChannels: 4,
  outChannels: 4,
  levels: [level(320), level(640, { heads: 10, depth: 2 }), level(1280, { heads: 20, depth: 10 })],
  mid: { transformers: deep({ heads: 20, depth: 10 }, 1) },
  contextChannels: 2048,
  time: time(1280),
  textTime: { sinusoidChannels: 256, channels: 2816 },
  projection: "linear",
};
