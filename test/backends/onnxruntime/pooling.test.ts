import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { errorAgainstCpu } from "../../helpers/on-both.ts";

const tolerance = 2e-6;

type Attributes = Record<string, unknown>;
const run = (name: string, inputs: tf.NamedTensorMap, attrs: Attributes) =>
  tf.engine().runKernel(name, inputs, attrs as tf.NamedAttrMap) as tf.Tensor;

/** Few different numbers, so that windows have more than one largest. */
const coarse = (x: tf.Tensor) => tf.div(tf.round(tf.mul(x, 2)), 2);

const windows: Attributes[] = [
  { filterSize: 2, strides: 2, pad: "valid" },
  { filterSize: 3, strides: 2, pad: "same" },
  { filterSize: [3, 2], strides: [1, 2], pad: "same" },
  { filterSize: 3, strides: 1, pad: 1, dimRoundingMode: "floor" },
  { filterSize: 2, strides: 3, pad: 0, dimRoundingMode: "ceil" },
];

describe.each(windows)("pictures, %j", (attrs) => {
  const x = [2, 7, 8, 3] as [number, number, number, number];
  const { filterSize, strides, pad, dimRoundingMode } = attrs as { [name: string]: never };
  const y = tf.backend_util.computePool2DInfo(x, filterSize!, strides!, 1, pad!, dimRoundingMode).outShape;

  test.each(["MaxPool", "AvgPool"])("%s", async (name) => {
    expect(await errorAgainstCpu([x], (a) => run(name, { x: a! }, attrs))).toBeLessThan(tolerance);
  });
  test("AvgPoolGrad", async () => {
    if (dimRoundingMode === "ceil") return; // tfjs's own does not take it into account
    const error = await errorAgainstCpu([y, x], (dy, input) => run("AvgPoolGrad", { dy: dy!, input: input! }, attrs));
    expect(error).toBeLessThan(tolerance);
  });
  test("MaxPoolGrad", async () => {
    const gradient = (dy: tf.Tensor, x: tf.Tensor) => {
      const input = coarse(x);
      return run("MaxPoolGrad", { dy, input, output: run("MaxPool", { x: input }, attrs) }, attrs);
    };
    expect(await errorAgainstCpu([y, x], gradient as never)).toBeLessThan(tolerance);
  });
  test.each([true, false])("MaxPoolWithArgmax, the picture counted: %j", async (includeBatchInIndex) => {
    if (dimRoundingMode) return; // tfjs does not pass it on
    const places = (a: tf.Tensor) => run("MaxPoolWithArgmax", { x: coarse(a) }, { ...attrs, includeBatchInIndex });
    expect(await errorAgainstCpu([x], places as never)).toBeLessThan(tolerance);
  });
});

describe.each(windows.slice(0, 2))("volumes, %j", (attrs) => {
  const x = [2, 5, 6, 4, 3] as [number, number, number, number, number];
  const { filterSize, strides, pad } = attrs as { [name: string]: never };
  const y = tf.backend_util.computePool3DInfo(x, filterSize!, strides!, 1, pad!).outShape;

  test.each(["MaxPool3D", "AvgPool3D"])("%s", async (name) => {
    expect(await errorAgainstCpu([x], (a) => run(name, { x: a! }, attrs))).toBeLessThan(tolerance);
  });
  test.each(["MaxPool3DGrad", "AvgPool3DGrad"])("%s", async (name) => {
    const gradient = (dy: tf.Tensor, input: tf.Tensor) => run(name, { dy, input, output: dy }, attrs);
    expect(await errorAgainstCpu([y, x], gradient as never)).toBeLessThan(tolerance);
  });
});

// tfjs's own makes −∞ of a window that sees padding alone, and NaN of its mean; but it has a gradient.
test.each([
  { filterSize: 2, strides: 1, pad: 3, dimRoundingMode: "floor" },
  {
    filterSize: [3, 2],
    strides: 2,
    pad: [
      [0, 0],
      [4, 0],
      [1, 2],
      [0, 0],
    ],
    dimRoundingMode: "floor",
  },
] as Attributes[])("MaxPoolGrad with more padding than a window is long, %j", async (attrs) => {
  const x = [2, 7, 8, 3] as [number, number, number, number];
  const { filterSize, strides, pad } = attrs as { [name: string]: never };
  const y = tf.backend_util.computePool2DInfo(x, filterSize!, strides!, 1, pad!, "floor").outShape;
  const gradient = (dy: tf.Tensor, input: tf.Tensor) =>
    run("MaxPoolGrad", { dy, input: coarse(input), output: dy }, attrs);
  expect(await errorAgainstCpu([y, x], gradient as never)).toBeLessThan(tolerance);
});

test("MaxPoolWithArgmax has no numbers for padding, and says so", async () => {
  await tf.setBackend("onnxruntime");
  tf.tidy(() => {
    const x = tf.zeros([1, 3, 3, 1]);
    const attrs = { filterSize: 2, strides: 1, pad: 2, includeBatchInIndex: false };
    expect(() => run("MaxPoolWithArgmax", { x }, attrs)).toThrow("the padding must be smaller than the window");
  });
});
