import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Conv2d,
  Embedding,
  FeedForward,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  SpatialTransformer,
  TimestepEmbedding,
  Timesteps,
  TransformerBlock,
} from "../../src/layers/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { fill } from "../helpers/formula.ts";

let expected: WeightSource;
beforeAll(async () => {
  expected = await openExpected("transformer_layers/layers.safetensors");
});
afterAll(() => expected.close());

async function read(name: string): Promise<tf.Tensor | undefined> {
  const rank = expected.entries.get(name)?.shape.length;
  return rank === undefined ? undefined : readTensor(expected, name, rank === 4 ? "nhwc" : undefined);
}

const transformer = { heads: 2, contextChannels: 12, groups: 4 };

const cases: Record<string, Layer> = {
  linear: new Linear(6, 4),
  linear_without_bias: new Linear(6, 4, { bias: false }),
  conv_1: new Conv2d(6, 4, { kernel: 1 }),
  conv_3: new Conv2d(6, 4, { kernel: 3, padding: 1 }),
  conv_3_valid: new Conv2d(6, 4, { kernel: 3, bias: false }),
  conv_5: new Conv2d(6, 4, { kernel: 5, padding: 2 }),
  conv_strided: new Conv2d(6, 4, { kernel: 3, stride: 2, padding: 1 }),
  conv_patches: new Conv2d(6, 4, { kernel: 2, stride: 2 }),
  conv_padded_wide: new Conv2d(6, 4, { kernel: 3, padding: 2 }),
  group_norm: new GroupNorm(3, 6, { eps: 1e-6 }),
  group_norm_far_from_0: new GroupNorm(2, 6, { eps: 1e-5 }),
  layer_norm: new LayerNorm(6),
  layer_norm_far_from_0: new LayerNorm(6, { eps: 1e-6 }),
  embedding: new Embedding(7, 4),
  timestep_embedding: new TimestepEmbedding(8, 16),
  timestep_embedding_condition: new TimestepEmbedding(8, 16, { conditionChannels: 4 }),
  feed_forward: new FeedForward(16),
  transformer_block: new TransformerBlock(16, { heads: 4, contextChannels: 12 }),
  transformer_block_context: new TransformerBlock(16, { heads: 2, contextChannels: 12, firstAttention: "context" }),
  transformer_block_masked: new TransformerBlock(16, { heads: 4, contextChannels: 12 }),
  transformer_block_small: new TransformerBlock(16, { heads: 4, contextChannels: 12 }),
  spatial_transformer_small: new SpatialTransformer(16, { ...transformer, depth: 0, projection: "conv" }),
  spatial_transformer_linear_0: new SpatialTransformer(16, { ...transformer, depth: 0, projection: "linear" }),
  spatial_transformer_linear_2: new SpatialTransformer(16, { ...transformer, depth: 2, projection: "linear" }),
  spatial_transformer_conv_0: new SpatialTransformer(16, { ...transformer, depth: 0, projection: "conv" }),
  spatial_transformer_conv_2: new SpatialTransformer(16, { ...transformer, depth: 2, projection: "conv" }),
};

describe("against PyTorch and diffusers", () => {
  test.each(Object.entries(cases))("%s", async (name, layer) => {
    fill(layer);
    const x = (await read(`${name}/x`))!;
    const bias = await read(`${name}/bias`); // [B, 1, M]: PyTorch's has no axis for the heads
    const others = [
      (await read(`${name}/context`)) ?? (await read(`${name}/condition`)),
      bias && tf.expandDims(bias, 1),
    ].filter((input) => input !== undefined);
    const { numTensors } = tf.memory();
    const output = layer.apply(name === "embedding" ? tf.cast(x, "int32") : x, ...others) as tf.Tensor;
    expect(tf.memory().numTensors).toBe(numTensors + (name === "embedding" ? 2 : 1));
    expectAccurate("layers", await relativeError(output, (await read(`${name}/output`))!));
  });
});

describe("the sinusoid of the time", () => {
  const sinusoids = {
    "32_flipped_0": 32,
    "32_plain_1": 32,
    "33_flipped_0": 33,
    "320_flipped_0": 320,
    "384_plain_0": 384,
  };

  // PyTorch takes the frequencies from its machine's vector library, which is off by one bit for one in fifty. That moves an
  // angle t by its own last bit or two, 6e-5 as measured at t = 999.5; all other values are equal but for rounding.
  test.each(Object.entries(sinusoids))("%s", async (name, channels) => {
    const timesteps = new Timesteps(channels, {
      flipSinToCos: name.includes("flipped"),
      freqShift: name.endsWith("1") ? 1 : 0,
    });
    const times = [...(await (await read(`sinusoid/${name}/x`))!.data())];
    const actual = await timesteps.apply(times).array();
    const wanted = (await (await read(`sinusoid/${name}/output`))!.array()) as number[][];
    const far = new Set<number>();
    for (const [row, time] of times.entries()) {
      for (let i = 0; i < channels; i++) {
        const difference = Math.abs(actual[row]![i]! - wanted[row]![i]!);
        expect(difference).toBeLessThan(1e-6 + time * 2 ** -23);
        if (difference > 1e-6) far.add(i % Math.floor(channels / 2));
      }
    }
    expect(far.size).toBeLessThanOrEqual(channels / 2 / 40);
  });
});
