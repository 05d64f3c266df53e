import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  Attention,
  Conv2d,
  DownBlock,
  Downsample,
  Embedding,
  FeedForward,
  GroupNorm,
  type Layer,
  LayerNorm,
  Linear,
  MidBlock,
  PatchEmbedding,
  PatchMerging,
  parameters,
  ResnetBlock,
  SpatialAttention,
  SpatialTransformer,
  SwinBlock,
  TextEmbeddings,
  TextEncoderLayer,
  TimestepEmbedding,
  TransformerBlock,
  UpBlock,
  Upsample,
  WindowAttention,
} from "../../src/layers/index.ts";
import { registerGradients } from "../../src/training/gradients.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { openExpected, readTensor } from "../helpers/expected.ts";
import { fill, numbers } from "../helpers/formula.ts";

interface Case {
  layer: Layer;
  /** Of the inputs, as PyTorch has them, in the order in which `run` takes them. */
  shapes: Readonly<Record<string, number[]>>;
  run?: (layer: Layer, inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];
}

const [picture, tokens, context, temb] = [
  [2, 16, 4, 5],
  [2, 6, 16],
  [2, 3, 12],
  [2, 12],
];
const resnet = { tembChannels: 12, groups: 4, eps: 1e-5 };
const transformer = { heads: 2, contextChannels: 12, groups: 4, projection: "linear" } as const;
const text = { channels: 8, mlpChannels: 12, layers: 1, heads: 2, activation: "gelu_pytorch_tanh", eps: 1e-6 } as const;
const window = { heads: 2, window: 4, qkvBias: true };
const swin = { ...window, shift: 2, mlpChannels: 32, activation: "gelu", eps: 1e-5 } as const;

const ids = (layer: Layer) =>
  layer.apply(
    tf.tensor2d(
      [
        [3, 8, 3, 0],
        [1, 3, 6, 6],
      ],
      [2, 4],
      "int32",
    ),
  ) as tf.Tensor;

/** A layer of patches in rows and columns, where PyTorch has them in one row. */
const inRows =
  (...shape: number[]): NonNullable<Case["run"]> =>
  (layer, [x]) => {
    const y = layer.apply(tf.reshape(x!, shape)) as tf.Tensor4D;
    return tf.reshape(y, [y.shape[0], -1, y.shape[3]]);
  };

const cases: Record<string, Case> = {
  linear: { layer: new Linear(6, 4), shapes: { x: [2, 5, 6] } },
  conv: { layer: new Conv2d(4, 6, { kernel: 3, padding: 1 }), shapes: { x: [2, 4, 5, 6] } },
  conv_1: { layer: new Conv2d(4, 6, { kernel: 1 }), shapes: { x: [2, 4, 5, 6] } },
  conv_strided: { layer: new Conv2d(4, 6, { kernel: 3, stride: 2, padding: 1 }), shapes: { x: [2, 4, 5, 6] } },
  group_norm: { layer: new GroupNorm(2, 6, { eps: 1e-5 }), shapes: { x: [2, 6, 3, 4] } },
  layer_norm: { layer: new LayerNorm(6), shapes: { x: [2, 5, 6] } },
  embedding: { layer: new Embedding(9, 4), shapes: {}, run: ids },
  timestep_embedding: {
    layer: new TimestepEmbedding(8, 16, { conditionChannels: 4 }),
    shapes: { x: [2, 8], condition: [2, 4] },
  },
  feed_forward: { layer: new FeedForward(16), shapes: { x: tokens } },
  attention: {
    layer: new Attention({ channels: 16, contextChannels: 12, heads: 2, headDim: 8 }),
    shapes: { x: tokens, context },
  },
  transformer_block: { layer: new TransformerBlock(16, transformer), shapes: { x: tokens, context } },
  spatial_transformer_linear: {
    layer: new SpatialTransformer(16, { ...transformer, depth: 1 }),
    shapes: { x: picture, context },
  },
  spatial_transformer_conv: {
    layer: new SpatialTransformer(16, { ...transformer, depth: 1, projection: "conv" }),
    shapes: { x: picture, context },
  },
  spatial_attention: { layer: new SpatialAttention(16, { groups: 4, eps: 1e-6 }), shapes: { x: picture } },
  downsample: { layer: new Downsample(4, { padding: 1 }), shapes: { x: [2, 4, 5, 6] } },
  downsample_end: { layer: new Downsample(4, { padding: "end" }), shapes: { x: [2, 4, 5, 6] } },
  upsample: { layer: new Upsample(4), shapes: { x: [2, 4, 3, 5] } },
  resnet: { layer: new ResnetBlock(16, 8, resnet), shapes: { x: picture, temb } },
  down_block: {
    layer: new DownBlock(16, 8, {
      layers: 2,
      resnet,
      transformers: { ...transformer, depths: [1, 1] },
      downsample: { padding: 1 },
    }),
    shapes: { x: picture, temb, context },
    run: (layer, [x, temb, context]) => (layer.apply(x, { temb, context }) as { skips: tf.Tensor[] }).skips,
  },
  mid_block: {
    layer: new MidBlock(16, { resnet, transformers: { ...transformer, depths: [1] } }),
    shapes: { x: picture, temb, context },
    run: (layer, [x, temb, context]) => layer.apply(x, { temb, context }) as tf.Tensor,
  },
  up_block: {
    layer: new UpBlock(16, [8, 4], 8, { resnet, transformers: { ...transformer, depths: [1, 1] }, upsample: true }),
    shapes: { x: picture, temb, context, skip_1: [2, 4, 4, 5], skip_2: [2, 8, 4, 5] },
    run: (layer, [x, temb, context, ...skips]) => layer.apply(x, skips, { temb, context }) as tf.Tensor,
  },
  text_embeddings: { layer: new TextEmbeddings({ vocabSize: 9, positions: 5, channels: 8 }), shapes: {}, run: ids },
  text_encoder_layer: { layer: new TextEncoderLayer(text), shapes: { x: [2, 4, 8], bias: [2, 1, 1, 4] } },
  window_attention: { layer: new WindowAttention(8, window), shapes: { x: [3, 16, 8] } },
  swin_block: { layer: new SwinBlock(8, swin), shapes: { x: [2, 54, 8] }, run: inRows(2, 6, 9, 8) },
  patch_embedding: {
    layer: new PatchEmbedding(3, 8, 2),
    shapes: { x: [2, 3, 5, 6] },
    run: (layer, [x]) => tf.reshape(layer.apply(x) as tf.Tensor, [2, 9, 8]),
  },
  patch_merging: { layer: new PatchMerging(4), shapes: { x: [2, 30, 4] }, run: inRows(2, 5, 6, 4) },
};

let expected: WeightSource;
beforeAll(registerGradients);
beforeAll(async () => {
  expected = await openExpected("gradients/layers.safetensors");
});
afterAll(() => expected.close());

describe("gradients are PyTorch's: of", () => {
  test.each(Object.entries(cases))(
    "%s",
    async (name, { layer, shapes, run = (one, x) => one.apply(...x) as tf.Tensor }) => {
      fill(layer);
      const inputs = Object.entries(shapes).map(([key, shape]) =>
        tf.variable(channelsLast(numbers(`${name}.${key}`, ...shape))),
      );
      const gradients = computed(() => {
        const outputs = [run(layer, inputs)].flat();
        return tf.addN(
          outputs.map((output, i) => tf.sum<tf.Scalar>(tf.mul(output, direction(`${name}.direction.${i}`, output)))),
        );
      });
      if (!gradients) return;

      const found = new Map<string, tf.Tensor>();
      for (const [i, key] of Object.keys(shapes).entries())
        found.set(`input.${key}`, channelsFirst(gradients[inputs[i]!.name]!));
      for (const [path, { value, axes }] of parameters(layer)) {
        const gradient = gradients[(value as tf.Variable).name]!;
        found.set(
          `parameter.${path}`,
          tf.transpose(
            gradient,
            axes.map((_, axis) => axes.indexOf(axis)),
          ),
        );
      }
      const wanted = [...expected.entries.keys()].filter((key) => key.startsWith(`${name}/`));
      expect([...found.keys()].map((key) => `${name}/${key}`).toSorted()).toEqual(wanted.toSorted());
      await expectAlike(found, name);
    },
  );
});

/**
 * The gradients of all variables, or nothing where wasm lacks a kernel for one.
 */
function computed(loss: () => tf.Scalar): tf.NamedTensorMap | undefined {
  try {
    return tf.variableGrads(loss).grads;
  } catch (error) {
    const isLacking = /Kernel '(Conv2DBackpropFilter|UnsortedSegmentSum)' not registered for backend 'wasm'/;
    if (isLacking.test(String(error))) return undefined;
    throw error;
  }
}

/** Each is as near as 1e-5 of its largest number; of the layer's largest where it is next to nothing, as a key's bias's. */
async function expectAlike(found: ReadonlyMap<string, tf.Tensor>, name: string): Promise<void> {
  const pairs = await Promise.all(
    [...found].map(async ([key, tensor]) => {
      const wanted = await readTensor(expected, `${name}/${key}`);
      expect(tensor.shape, key).toEqual(wanted.shape);
      const [difference, magnitude] = await Promise.all([
        tf.max(tf.abs(tf.sub(tensor, wanted))).data(),
        tf.max(tf.abs(wanted)).data(),
      ]);
      return { key, difference: difference[0]!, magnitude: magnitude[0]! };
    }),
  );
  const largest = Math.max(...pairs.map(({ magnitude }) => magnitude));
  for (const { key, difference, magnitude } of pairs) {
    expect(difference / Math.max(magnitude, 1e-2 * largest), key).toBeLessThanOrEqual(1e-5);
  }
}

/** The reference's direction of an output, which is PyTorch's [B, C, H, W] where it is a picture. */
function direction(name: string, { shape }: tf.Tensor): tf.Tensor {
  const [batch, height, width, channels] = shape as [number, number, number, number];
  return channelsLast(numbers(name, ...(shape.length === 4 ? [batch, channels, height, width] : shape)));
}

function channelsLast(tensor: tf.Tensor): tf.Tensor {
  return tensor.rank === 4 && tensor.shape[1] !== 1 ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor; // a bias of scores is no picture
}

function channelsFirst(tensor: tf.Tensor): tf.Tensor {
  return tensor.rank === 4 && tensor.shape[1] !== 1 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor;
}
