import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { gelu, geluTanh, groupNorm, quickGelu, scaledDotProductAttention, silu } from "../../src/ops/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { openExpected, readTensor, relativeError } from "../helpers/expected.ts";

let expected: WeightSource;
beforeAll(async () => {
  expected = await openExpected("transformer_layers/layers.safetensors");
});
afterAll(() => expected.close());

const read = <T extends tf.Tensor>(name: string) => readTensor(expected, name) as Promise<T>;

describe("activations against PyTorch, from -12 to 12", () => {
  // tfjs's erf is a polynomial, 1.5e-7 off at most.
  test.each(Object.entries({ silu, gelu, geluTanh, quickGelu }))("%s", async (name, activation) => {
    const x = await read(`${name}/x`);
    const { numTensors } = tf.memory();
    const output = activation(x);
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    expect(await relativeError(output, await read(`${name}/output`))).toBeLessThan(1e-6);
  });
});

describe("attention against PyTorch", () => {
  // [2 pictures, 3 heads, 7 queries, 5 keys]: a row of the scores takes 120 bytes.
  const budgets = { whole: undefined, "3 rows at a time": 360, "row by row": 1 };

  describe.each(Object.entries(budgets))("%s", (_, scoreBytes) => {
    test.each(["none", "tokens", "pairs", "heads"])("bias: %s", async (name) => {
      const [q, k, v, wanted] = await Promise.all(
        ["q", "k", "v", "output"].map((part) => read<tf.Tensor3D>(`attention/${name}/${part}`)),
      );
      const bias = name === "none" ? undefined : await read<tf.Tensor4D>(`attention/${name}/bias`);
      const { numTensors } = tf.memory();
      const output = scaledDotProductAttention(q!, k!, v!, { heads: 3, bias, ...(scoreBytes && { scoreBytes }) });
      expect(tf.memory().numTensors).toBe(numTensors + 1);
      expectAccurate("operations", await relativeError(output, wanted!));
    });
  });
});

test("a picture of one colour has a variance of 0, and is normalized to the bias", async () => {
  const x = tf.fill<tf.Rank.R4>([1, 2, 2, 4], 3);
  const output = groupNorm(x, tf.ones([4]), tf.tensor1d([1, 2, 3, 4]), { groups: 2, eps: 1e-6 });
  for (const [i, value] of (await output.data()).entries()) expect(value).toBeCloseTo((i % 4) + 1, 4);
});

test("groupNorm keeps its digits on a map of many thousand cells, where a sum in one go would lose four", async () => {
  const [side, channels, groups] = [256, 16, 2];
  const values = Float32Array.from(
    { length: side * side * channels },
    (_, i) => 3 + Math.sin(i * 0.7391) + (i % 7) / 5,
  );
  const x = tf.tensor4d(values, [1, side, side, channels]);
  const [gain, bias] = [tf.ones([channels]) as tf.Tensor1D, tf.zeros([channels]) as tf.Tensor1D];
  const y = groupNorm(x, gain, bias, { groups, eps: 1e-6 });

  // By the definition, in double precision.
  const inGroup = (group: number) =>
    values.filter((_, i) => Math.floor((i % channels) / (channels / groups)) === group);
  const wanted = Float32Array.from(values);
  for (let group = 0; group < groups; group++) {
    const members = Float64Array.from(inGroup(group));
    const mean = members.reduce((sum, value) => sum + value, 0) / members.length;
    const variance = members.reduce((sum, value) => sum + (value - mean) ** 2, 0) / members.length;
    for (let i = 0; i < wanted.length; i++) {
      if (Math.floor((i % channels) / (channels / groups)) === group)
        wanted[i] = (values[i]! - mean) / Math.sqrt(variance + 1e-6);
    }
  }
  expect(await relativeError(y, tf.tensor4d(wanted, x.shape))).toBeLessThan(2e-6);
});
