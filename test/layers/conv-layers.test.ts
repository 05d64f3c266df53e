import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import {
  Attention,
  Downsample,
  type Layer,
  ResnetBlock,
  type ResnetBlockOptions,
  SpatialAttention,
  Upsample,
} from "../../src/layers/index.ts";
import { loadWeights, openSafetensors } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

const resnet = (inChannels: number, outChannels: number, options: Partial<ResnetBlockOptions> = {}) =>
  new ResnetBlock(inChannels, outChannels, { tembChannels: undefined, groups: 4, eps: 1e-5, ...options });

const cases: Record<string, Layer> = {
  "resnet/temb": resnet(8, 8, { tembChannels: 12 }),
  "resnet/shortcut": resnet(8, 12, { tembChannels: 12 }),
  "resnet/no_temb": resnet(12, 8),
  "resnet/scale_shift": resnet(8, 8, { tembChannels: 12, timeScaleShift: "scale_shift" }),
  "resnet/small": resnet(8, 12),
  "resnet/output_scale": resnet(8, 8, { outputScaleFactor: 1.5 }),
  "downsample/padding_1_6x8": new Downsample(4, { padding: 1 }),
  "downsample/padding_1_5x7": new Downsample(4, { padding: 1 }),
  "downsample/padding_end_6x8": new Downsample(4, { padding: "end" }),
  "downsample/padding_end_5x7": new Downsample(4, { padding: "end" }),
  "upsample/double": new Upsample(4),
  "upsample/odd": new Upsample(4),
  "attention/self": new Attention({ channels: 8, heads: 2, headDim: 4 }),
  "attention/cross": new Attention({ channels: 8, contextChannels: 12, heads: 3, headDim: 4 }),
  "attention/masked": new Attention({ channels: 8, contextChannels: 12, heads: 2, headDim: 4 }),
  "attention/biases": new Attention({ channels: 8, heads: 2, headDim: 4, bias: true, outBias: false }),
  "attention/spatial": new SpatialAttention(8, { groups: 4, eps: 1e-6 }),
};

describe("against diffusers", () => {
  test.each(Object.entries(cases))("%s", async (name, layer) => {
    await load(layer, `conv_layers/${name}.safetensors`);
    const io = await openExpected(`conv_layers/${name}.io.safetensors`);
    const read = async (key: string) => {
      const rank = io.entries.get(key)?.shape.length;
      return rank && readTensor(io, key, rank === 4 ? "nhwc" : undefined);
    };
    const output = (await read("output")) as tf.Tensor;
    const size = name === "upsample/odd" ? output.shape.slice(1, 3) : undefined;
    const mask = await read("mask"); // [B, 1, M]
    const others = [await read("temb"), await read("context"), mask && tf.expandDims(mask, 1), size];
    const actual = layer.apply(await read("x"), ...others.filter((input) => input !== undefined)) as tf.Tensor;
    expectAccurate("layers", await relativeError(actual, output));
    await io.close();
  });
});

test("upsampling repeats the cells that PyTorch repeats, whatever the sizes", async () => {
  const upsample = new Upsample(1);
  upsample.conv.weight.assign(tf.tensor4d([0, 0, 0, 0, 1, 0, 0, 0, 0], [3, 3, 1, 1]));
  upsample.conv.bias!.assign(tf.zeros([1]));
  const pairs: { in: number; out: number; source: number[] }[] = JSON.parse(
    await readFile(expectedPath("conv_layers/nearest.json"), "utf8"),
  );
  for (const pair of pairs) {
    const cells = tf.range(0, pair.in, 1, "float32");
    const tall = upsample.apply(tf.reshape(cells, [1, pair.in, 1, 1]), [pair.out, 1]);
    const wide = upsample.apply(tf.reshape(cells, [1, 1, pair.in, 1]), [1, pair.out]);
    expect([...(await tall.data())]).toEqual(pair.source);
    expect([...(await wide.data())]).toEqual(pair.source);
  }
});

test("a block with time channels asks for the time", () => {
  const x = tf.zeros<tf.Rank.R4>([1, 2, 2, 8]);
  const block = resnet(8, 8, { tembChannels: 4 });
  block.norm1.weight.assign(tf.ones([8]));
  block.norm1.bias.assign(tf.zeros([8]));
  block.conv1.weight.assign(tf.zeros([3, 3, 8, 8]));
  block.conv1.bias!.assign(tf.zeros([8]));
  expect(() => block.apply(x)).toThrow("needs a time embedding");
});

test("a layer leaves only its result behind", async () => {
  const layer = resnet(8, 12, { tembChannels: 12 });
  await load(layer, "conv_layers/resnet/shortcut.safetensors");
  const [x, temb] = [tf.ones<tf.Rank.R4>([1, 3, 3, 8]), tf.ones<tf.Rank.R2>([1, 12])];
  const before = tf.memory().numTensors;
  layer.apply(x, temb);
  expect(tf.memory().numTensors).toBe(before + 1);
});

async function load(layer: Layer, name: string): Promise<void> {
  const source = await openSafetensors(expectedPath(name));
  await loadWeights(layer, source);
  await source.close();
}
