import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/errors.ts";
import { countParameters, parameters } from "../../src/layers/index.ts";
import { UNet } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import { stableDiffusion15UNet } from "../../src/models/unet-presets.ts";

const base = {
  block_out_channels: [32, 64],
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
  cross_attention_dim: 16,
};
const read = (json: object) => unetConfigFrom({ ...base, ...json }, "unet/config.json");

test("an empty config.json has diffusers' defaults: Stable Diffusion 1, but for its text", () => {
  expect(unetConfigFrom({}, "x")).toEqual({ ...stableDiffusion15UNet, contextChannels: 1280 });
});

test("depths: a number, one a level, one a layer, and others on the way up", () => {
  const depths = (json: object) => read(json).levels.map(({ down, up }) => [down?.depths, up?.depths]);
  const every = (down: number, up = down) => [Array(2).fill(down), Array(3).fill(up)];
  expect(depths({})).toEqual([every(1), every(1)]);
  expect(depths({ transformer_layers_per_block: 3 })).toEqual([every(3), every(3)]);
  expect(depths({ transformer_layers_per_block: [0, 2] })).toEqual([every(0), every(2)]);
  const reversed = { transformer_layers_per_block: [1, 2], reverse_transformer_layers_per_block: [3, 4] };
  expect(depths(reversed)).toEqual([every(1, 4), every(2, 3)]);
  const nested = {
    transformer_layers_per_block: [1, [2, 3]],
    reverse_transformer_layers_per_block: [[4, 5, 6], 0],
  };
  expect(depths(nested)).toEqual([
    every(1, 0),
    [
      [2, 3],
      [4, 5, 6],
    ],
  ]);
  expect(read(nested).mid?.transformers?.depths).toEqual([2]);
});

test("attention_head_dim is the number of heads", () => {
  const heads = (json: object) => read(json).levels.map(({ down }) => down?.heads);
  expect(heads({ attention_head_dim: 4 })).toEqual([4, 4]);
  expect(heads({ attention_head_dim: [2, 16] })).toEqual([2, 16]);
});

test("SSD-1B's asymmetric lists", () => {
  const config = unetConfigFrom(
    {
      block_out_channels: [320, 640, 1280],
      down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
      mid_block_type: "UNetMidBlock2D",
      up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
      attention_head_dim: [5, 10, 20],
      transformer_layers_per_block: [1, [2, 2], [4, 4]],
      reverse_transformer_layers_per_block: [[4, 4, 10], [2, 1, 1], 1],
      cross_attention_dim: 2048,
    },
    "x",
  );
  const unet = new UNet(config);
  const depth = (prefix: string) =>
    new Set([...parameters(unet)].flatMap(([path]) => (path.startsWith(prefix) ? [path.split(".")[5]] : []))).size;
  expect([0, 1, 2].map((i) => depth(`up_blocks.0.attentions.${i}.transformer_blocks`))).toEqual([4, 4, 10]);
  expect(countParameters(unet)).toBeGreaterThan(1e9);
});

describe("what is not supported is refused by name, with the file", () => {
  const refusals: [json: object, message: string][] = [
    [{ down_block_types: ["AttnDownBlock2D", "DownBlock2D"] }, 'the field "down_block_types.0" is "AttnDownBlock2D"'],
    [{ up_block_types: ["UpBlock2D", "SimpleCrossAttnUpBlock2D"] }, 'the field "up_block_types.1" is'],
    [
      { up_block_types: ["UpBlock2D"] },
      'the field "up_block_types" is ["UpBlock2D"], which is not supported: it must have 2',
    ],
    [{ down_block_types: Array(9).fill("DownBlock2D") }, 'the field "down_block_types" is ["DownBlock2D",'],
    [{ transformer_layers_per_block: 65 }, 'the field "transformer_layers_per_block" is 65'],
    [{ down_block_types: [] }, 'the field "down_block_types" is []'],
    [{ mid_block_type: "UNetMidBlock2DSimpleCrossAttn" }, 'the field "mid_block_type"'],
    [
      { block_out_channels: [32] },
      'the field "block_out_channels" is [32], which is not supported: it must have 2 entries',
    ],
    [{ block_out_channels: [40, 64] }, 'it must be a multiple of "norm_num_groups", 32'],
    [{ block_out_channels: [32, 1e12] }, 'the field "block_out_channels.1"'],
    [{ norm_num_groups: null }, 'the field "norm_num_groups" is null'],
    [{ num_attention_heads: 8 }, 'the field "num_attention_heads" is 8'],
    [{ attention_head_dim: [8, 7] }, "must divide the level's 64 channels"],
    [{ attention_head_dim: [8] }, 'the field "attention_head_dim" is [8]'],
    [{ cross_attention_dim: [16, 24] }, "all levels see the same text"],
    [{ cross_attention_dim: null }, 'the field "cross_attention_dim" is null'],
    [{ cross_attention_dim: [] }, 'the field "cross_attention_dim" is []'],
    [{ layers_per_block: [2] }, 'the field "layers_per_block" is [2]'],
    [{ layers_per_block: 0 }, 'the field "layers_per_block" is 0'],
    [{ layers_per_block: 1e9 }, 'the field "layers_per_block" is 1000000000'],
    [{ transformer_layers_per_block: [1, [1, 2]] }, 'needs "reverse_transformer_layers_per_block", for the way up'],
    [
      { transformer_layers_per_block: [1, [1, 2, 3]], reverse_transformer_layers_per_block: [1, 1] },
      'the field "transformer_layers_per_block" is [1,2,3], which is not supported: a list for each layer must have 2',
    ],
    [{ reverse_transformer_layers_per_block: [[1, 1], 1] }, "a list for each layer must have 3 entries"],
    [{ reverse_transformer_layers_per_block: [1] }, 'the field "reverse_transformer_layers_per_block" is [1]'],
    [{ transformer_layers_per_block: 1.5 }, 'the field "transformer_layers_per_block" is 1.5'],
    [
      { dual_cross_attention: true },
      'the field "dual_cross_attention" is true, which is not supported: it must be false',
    ],
    [{ only_cross_attention: [true] }, 'the field "only_cross_attention" is [true]'],
    [{ act_fn: "gelu" }, 'the field "act_fn" is "gelu", which is not supported: it must be "silu" or "swish"'],
    [{ time_embedding_type: "fourier" }, 'it must be "positional"'],
    [{ time_embedding_act_fn: "gelu" }, 'the field "time_embedding_act_fn" is "gelu"'],
    [{ timestep_post_act: "silu" }, 'the field "timestep_post_act"'],
    [{ resnet_time_scale_shift: "spatial" }, 'it must be "default" or "scale_shift"'],
    [{ resnet_skip_time_act: true }, 'the field "resnet_skip_time_act"'],
    [{ resnet_out_scale_factor: 2 }, 'the field "resnet_out_scale_factor" is 2'],
    [{ mid_block_scale_factor: 1.4 }, 'the field "mid_block_scale_factor" is 1.4'],
    [{ attention_type: "gated" }, 'the field "attention_type" is "gated"'],
    [{ cross_attention_norm: "layer_norm" }, 'the field "cross_attention_norm"'],
    [{ conv_in_kernel: 2 }, 'the field "conv_in_kernel" is 2'],
    [{ downsample_padding: 2 }, 'the field "downsample_padding" is 2'],
    [{ addition_embed_type: "text" }, 'the field "addition_embed_type" is "text"'],
    [{ addition_embed_type: "text_time" }, 'the field "addition_time_embed_dim" is null'],
    [
      { addition_embed_type: "text_time", addition_time_embed_dim: 8 },
      '"projection_class_embeddings_input_dim" is null',
    ],
    [{ encoder_hid_dim_type: "text_image_proj", encoder_hid_dim: 8 }, 'the field "encoder_hid_dim_type"'],
    [{ encoder_hid_dim_type: "text_proj" }, 'the field "encoder_hid_dim" is null'],
    [{ class_embed_type: "projection" }, 'it must be set where "class_embed_type" is "projection"'],
    [{ class_embed_type: "timestep", num_class_embeds: 4 }, 'the field "num_class_embeds" is 4'],
    [{ class_embeddings_concat: true }, "there is no class embedding"],
    [{ freeu: true }, 'the field "freeu" is not supported (its value is true)'],
  ];
  test.each(refusals)("%j", (json, message) => {
    expect(() => read(json)).toThrow(ConfigError);
    expect(() => read(json)).toThrow(/^unet\/config\.json: /);
    expect(() => read(json)).toThrow(message);
  });
});
