import { expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { autoencoderConfigFrom, pixelsPerCell, sdAutoencoder } from "../../src/models/autoencoder-config.ts";

/** vae/config.json of Stable Diffusion 1.5, as its folder has it: with the fields of diffusers 0.6. */
const stableDiffusion = {
  _class_name: "AutoencoderKL",
  _diffusers_version: "0.6.0",
  act_fn: "silu",
  block_out_channels: [128, 256, 512, 512],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 512,
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
};

const read = (changes: object) => autoencoderConfigFrom({ ...stableDiffusion, ...changes }, "vae/config.json");

test("reads Stable Diffusion's config", () => {
  expect(read({})).toEqual(sdAutoencoder);
  expect(pixelsPerCell(sdAutoencoder)).toBe(8);
});

test("what a config leaves out has diffusers' default", () => {
  expect(autoencoderConfigFrom({}, "config.json")).toEqual({
    ...{ inChannels: 3, outChannels: 3, latentChannels: 4, channels: [64], layersPerBlock: 1, groups: 32 },
    ...{ midAttention: true, quantConv: true, postQuantConv: true, sampleSize: 32, scalingFactor: 0.18215 },
  });
});

test("reads every field that can change something", () => {
  const statistics = { latents_mean: [1, 2], latents_std: [3, 4], shift_factor: 0.1, scaling_factor: 0.5 };
  const layers = { mid_block_add_attention: false, use_quant_conv: false, use_post_quant_conv: false };
  expect(read({ latent_channels: 2, sample_size: [256, 128], ...statistics, ...layers })).toEqual({
    ...sdAutoencoder,
    ...{ latentChannels: 2, sampleSize: 256, midAttention: false, quantConv: false, postQuantConv: false },
    ...{ latentsMean: [1, 2], latentsStd: [3, 4], shiftFactor: 0.1, scalingFactor: 0.5 },
  });
});

test("passes over what changes nothing here", () => {
  const same = { act_fn: "swish", force_upcast: true, shift_factor: null, latents_mean: null, latents_std: null };
  expect(read(same)).toEqual(sdAutoencoder);
});

test.each([
  [{ down_block_types: [...Array(3).fill("DownEncoderBlock2D"), "AttnDownEncoderBlock2D"] }, '"down_block_types.3"'],
  [{ up_block_types: ["UpDecoderBlock2D"] }, 'the field "up_block_types" is ["UpDecoderBlock2D"], but "block_out_'],
  [{ act_fn: "relu" }, 'the field "act_fn" is "relu"'],
  [{ norm_num_groups: 24 }, 'the field "norm_num_groups" is 24, but 128 channels do not divide into so many groups.'],
  [{ latents_mean: [0, 0, 0], latents_std: [1, 1, 1] }, "but there are 4 latent channels."],
  [
    { latents_mean: [0, 0, 0, 0] },
    'the field "latents_mean" is [0,0,0,0], but it means nothing without "latents_std".',
  ],
  [{ latents_std: [1, 1, 1, 1] }, 'the field "latents_std" is [1,1,1,1], but it means nothing without "latents_mean".'],
  [{ latents_std: [1, 1, 1, 0] }, 'the field "latents_std.3" is 0'],
  [{ scaling_factor: 0 }, 'the field "scaling_factor" is 0'],
  [{ block_out_channels: [] }, 'the field "block_out_channels" is []'],
  [{ latent_channels: 1e9 }, 'the field "latent_channels" is 1000000000'],
  [{ sample_size: [512] }, 'the field "sample_size" is [512]'],
  [{ norm_type: "spatial" }, 'the field "norm_type" is not supported'],
])("refuses %j", (changes, message) => {
  expect(() => read(changes)).toThrow(ConfigError);
  expect(() => read(changes)).toThrow(message);
  expect(() => read(changes)).toThrow("vae/config.json");
});
