import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { errorAgainstCpu } from "../../helpers/on-both.ts";

const tolerance = 1e-6;

test.each([tf.softmax, tf.logSoftmax])("$name", async (normalize) => {
  const run = (x: tf.Tensor) => normalize(tf.mul(x, 20));
  expect(await errorAgainstCpu([[3, 4, 5]], run as never)).toBeLessThan(tolerance);
});

describe("batch normalization", () => {
  test.each([
    [[4], true],
    [[2, 3, 5, 4], true],
    [[4], false],
  ] as const)("statistics %j, with gain and bias: %j", async (shape, isAffine) => {
    const run = (x: tf.Tensor, mean: tf.Tensor, variance: tf.Tensor, offset: tf.Tensor, scale: tf.Tensor) => {
      const [more, gain] = isAffine ? [offset, scale] : [];
      return tf.batchNorm(x, mean as never, tf.abs(variance) as never, more as never, gain as never, 1e-3);
    };
    const small = [...shape];
    expect(await errorAgainstCpu([[2, 3, 5, 4], small, small, small, small], run as never)).toBeLessThan(tolerance);
  });
});

describe.each([
  { depthRadius: 1, bias: 1, alpha: 0.5, beta: 0.75 },
  { depthRadius: 5, bias: 2, alpha: 1, beta: 0.5 },
])("local response normalization, %j", (attrs) => {
  const shape = [2, 3, 4, 7];
  test("forward", async () => {
    const run = (x: tf.Tensor) => tf.engine().runKernel("LRN", { x }, attrs) as tf.Tensor;
    expect(await errorAgainstCpu([shape], run as never)).toBeLessThan(tolerance);
  });
  test("gradient", async () => {
    const run = (x: tf.Tensor, dy: tf.Tensor) => {
      const y = tf.engine().runKernel("LRN", { x }, attrs) as tf.Tensor;
      return tf.engine().runKernel("LRNGrad", { x, y, dy }, attrs) as tf.Tensor;
    };
    expect(await errorAgainstCpu([shape, shape], run as never)).toBeLessThan(tolerance);
  });
});
