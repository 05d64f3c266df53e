import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { errorAgainstCpu } from "../../helpers/on-both.ts";

// Sums are added up in another order.
const tolerance = 1e-6;

describe.each([
  [[], []],
  [[3], [3]],
  [
    [2, 3],
    [2, 3],
  ],
  [[1], [4]],
  [
    [2, 3],
    [1, 1],
  ],
])("batches %j and %j", (left, right) => {
  test.each([
    [false, false],
    [true, false],
    [false, true],
    [true, true],
  ])("transposed: %j, %j", async (transposeA, transposeB) => {
    const shapes = [
      [...left, ...(transposeA ? [5, 4] : [4, 5])],
      [...right, ...(transposeB ? [6, 5] : [5, 6])],
    ];
    const run = (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, transposeA, transposeB);
    expect(await errorAgainstCpu(shapes, run)).toBeLessThan(tolerance);
  });
});

test.each(["linear", "relu", "elu", "sigmoid", "relu6", "leakyrelu", "prelu"] as const)(
  "bias and %s",
  async (activation) => {
    const run = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor, slope: tf.Tensor) =>
      tf.fused.matMul({
        a,
        b,
        bias,
        activation,
        leakyreluAlpha: 0.3,
        ...(activation === "prelu" && { preluActivationWeights: slope }),
      });
    expect(await errorAgainstCpu([[4, 5], [5, 6], [6], [6]], run as never)).toBeLessThan(tolerance);
  },
);

test("whole numbers", async () => {
  const run = (a: tf.Tensor, b: tf.Tensor) =>
    tf.matMul(tf.cast(tf.mul(a, 99), "int32"), tf.cast(tf.mul(b, 99), "int32"));
  expect(
    await errorAgainstCpu(
      [
        [4, 5],
        [5, 6],
      ],
      run,
    ),
  ).toBe(0);
});

describe("a bias that is added to a product", () => {
  const product = (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, false, true);
  const shapes = [[7, 5], [6, 5], [6]];

  test("alone", async () => {
    const run = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => tf.add(product(a, b), bias);
    expect(await errorAgainstCpu(shapes, run as never)).toBeLessThan(tolerance);
  });
  test("where the product is needed too", async () => {
    const run = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => {
      const y = product(a, b);
      return [y, tf.add(y, bias), tf.add(tf.mul(y, 2), bias)];
    };
    expect(await errorAgainstCpu(shapes, run as never)).toBeLessThan(tolerance);
  });
  test("twice", async () => {
    const run = (a: tf.Tensor, b: tf.Tensor, bias: tf.Tensor) => tf.add(tf.add(product(a, b), bias), bias);
    expect(await errorAgainstCpu(shapes, run as never)).toBeLessThan(tolerance);
  });
});
