import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { errorAgainstCpu } from "../../helpers/on-both.ts";

// Sums are added up in another order.
const tolerance = 2e-6;

interface Case {
  x: [number, number, number, number];
  filter: [number, number, number, number];
  strides?: number | [number, number];
  pad?: "same" | "valid" | number | tf.backend_util.ExplicitPadding;
  dilations?: number | [number, number];
  rounding?: "floor" | "round" | "ceil";
}

const uneven: tf.backend_util.ExplicitPadding = [
  [0, 0],
  [0, 2],
  [1, 0],
  [0, 0],
];

const cases: Record<string, Case> = {
  "3 × 3": { x: [2, 7, 6, 3], filter: [3, 3, 3, 5] },
  "1 × 1": { x: [2, 5, 4, 6], filter: [1, 1, 6, 4] },
  "1 × 1, stride 2": { x: [1, 5, 6, 4], filter: [1, 1, 4, 3], strides: 2 },
  "without padding": { x: [1, 8, 9, 2], filter: [2, 3, 2, 4], pad: "valid" },
  "stride 2": { x: [2, 8, 7, 3], filter: [3, 3, 3, 4], strides: 2 },
  "stride 2, without padding": { x: [2, 8, 9, 3], filter: [3, 2, 3, 4], strides: 2, pad: "valid" },
  "strides 3 and 1, a row unread": { x: [1, 9, 5, 2], filter: [2, 2, 2, 2], strides: [3, 1], pad: "valid" },
  "padding 2": { x: [1, 5, 5, 3], filter: [3, 3, 3, 2], pad: 2, rounding: "floor" },
  "other padding on each side": { x: [1, 6, 5, 3], filter: [3, 3, 3, 2], pad: uneven },
  "other padding, stride 2": { x: [1, 7, 6, 3], filter: [3, 3, 3, 2], pad: uneven, strides: 2 },
  "a number as padding, strides 2 and 1": {
    x: [1, 7, 8, 3],
    filter: [3, 2, 3, 2],
    pad: 1,
    strides: [2, 1],
    rounding: "floor",
  },
  "rounded up": { x: [1, 6, 6, 2], filter: [3, 3, 2, 2], strides: 2, pad: 0, rounding: "ceil" },
  "channels in blocks of 16": { x: [16, 6, 5, 32], filter: [3, 3, 32, 48] },
  "channels in blocks of 16, stride 2": { x: [16, 7, 6, 32], filter: [3, 3, 32, 16], strides: 2 },
  "channels in blocks of 16, stride 2, other padding": {
    x: [16, 7, 6, 16],
    filter: [3, 3, 16, 32],
    strides: 2,
    pad: uneven,
  },
  "channels in blocks of 16, one picture": { x: [1, 9, 8, 32], filter: [3, 3, 32, 64] },
  "channels in blocks of 16, 1 × 1": { x: [16, 4, 4, 32], filter: [1, 1, 32, 16] },
  "channels in blocks of 16, even filter": { x: [16, 6, 6, 16], filter: [4, 2, 16, 16] },
};

describe.each(Object.entries(cases))("%s", (_, { x, filter, strides = 1, pad = "same", dilations = 1, rounding }) => {
  const convolve = (a: tf.Tensor, b: tf.Tensor) =>
    tf.conv2d(a as tf.Tensor4D, b as tf.Tensor4D, strides, pad, "NHWC", dilations, rounding);
  const y = tf.backend_util.computeConv2DInfo(x, filter, strides, dilations, pad, rounding).outShape;
  const attrs = { strides, pad, dataFormat: "NHWC", ...(rounding && { dimRoundingMode: rounding }) };
  const engine = tf.engine();

  test("forward", async () => {
    expect(await errorAgainstCpu([x, filter], convolve)).toBeLessThan(tolerance);
  });
  test("gradient by the input", async () => {
    const run = (dy: tf.Tensor, f: tf.Tensor) =>
      engine.runKernel("Conv2DBackpropInput", { dy, filter: f }, { ...attrs, inputShape: x }) as tf.Tensor;
    expect(await errorAgainstCpu([y, filter], run)).toBeLessThan(tolerance);
  });
  test("gradient by the filter", async () => {
    const run = (a: tf.Tensor, dy: tf.Tensor) =>
      engine.runKernel("Conv2DBackpropFilter", { x: a, dy }, { ...attrs, filterShape: filter }) as tf.Tensor;
    expect(await errorAgainstCpu([x, y], run)).toBeLessThan(tolerance);
  });
});

test.each([
  [1, 1],
  [2, 2],
  [3, 1],
  [2, 3],
] as [number, number][])("dilations %i and %i", async (...dilations) => {
  for (const pad of ["same", "valid", 1] as const) {
    const run = (x: tf.Tensor, f: tf.Tensor) =>
      tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, 1, pad, "NHWC", dilations, pad === 1 ? "floor" : undefined);
    expect(
      await errorAgainstCpu(
        [
          [2, 9, 10, 3],
          [3, 3, 3, 4],
        ],
        run,
      ),
    ).toBeLessThan(tolerance);
  }
});

test("channels first", async () => {
  const run = (x: tf.Tensor, f: tf.Tensor) => tf.conv2d(x as tf.Tensor4D, f as tf.Tensor4D, [2, 1], "same", "NCHW");
  expect(
    await errorAgainstCpu(
      [
        [2, 3, 7, 5],
        [3, 3, 3, 4],
      ],
      run,
    ),
  ).toBeLessThan(tolerance);
});

describe("channel by channel", () => {
  test.each([
    { strides: 1, pad: "same" },
    { strides: 2, pad: "same" },
    { strides: 2, pad: "valid" },
    { strides: 1, pad: 1 },
  ] as const)("%j", async ({ strides, pad }) => {
    const [x, filter] = [
      [2, 7, 6, 3],
      [3, 2, 3, 2],
    ] as [[number, number, number, number], [number, number, number, number]];
    const attrs = { strides, pad, dilations: [1, 1], ...(pad === 1 && { dimRoundingMode: "floor" }) };
    const y = tf.backend_util.computeConv2DInfo(x, filter, strides, 1, pad, "floor", true).outShape;
    const run = (name: string, inputs: tf.NamedTensorMap, more = {}) =>
      tf.engine().runKernel(name, inputs, { ...attrs, ...more }) as tf.Tensor;
    const errors = [
      await errorAgainstCpu([x, filter], (a, b) => run("DepthwiseConv2dNative", { x: a!, filter: b! })),
      await errorAgainstCpu([y, filter], (dy, b) =>
        run("DepthwiseConv2dNativeBackpropInput", { dy: dy!, filter: b! }, { inputShape: x }),
      ),
      await errorAgainstCpu([x, y], (a, dy) =>
        run("DepthwiseConv2dNativeBackpropFilter", { x: a!, dy: dy! }, { filterShape: filter }),
      ),
    ];
    expect(Math.max(...errors)).toBeLessThan(tolerance);
  });
});

describe("volumes", () => {
  test.each([
    { strides: 1, pad: "same" },
    { strides: 2, pad: "same" },
    { strides: [1, 2, 1], pad: "valid" },
  ] as const)("%j", async ({ strides, pad }) => {
    const [x, filter] = [
      [2, 5, 6, 4, 3],
      [2, 3, 2, 3, 4],
    ] as [[number, number, number, number, number], [number, number, number, number, number]];
    const steps = strides as number | [number, number, number];
    const y = tf.backend_util.computeConv3DInfo(x, filter, steps, 1, pad).outShape;
    const run = (name: string, inputs: tf.NamedTensorMap, more = {}) =>
      tf.engine().runKernel(name, inputs, { strides, pad, dilations: 1, ...more }) as tf.Tensor;
    const errors = [
      await errorAgainstCpu([x, filter], (a, b) => run("Conv3D", { x: a!, filter: b! })),
      await errorAgainstCpu([y, filter], (dy, b) =>
        run("Conv3DBackpropInputV2", { dy: dy!, filter: b! }, { inputShape: x }),
      ),
      await errorAgainstCpu([x, y], (a, dy) =>
        run("Conv3DBackpropFilterV2", { x: a!, dy: dy! }, { filterShape: filter }),
      ),
    ];
    expect(Math.max(...errors)).toBeLessThan(tolerance);
  });
});

describe("with bias and activation", () => {
  test.each(["linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu", "prelu"] as const)("%s", async (activation) => {
    const of = (parts: tf.Tensor[]) => {
      const [x, filter, bias, slope] = parts as [tf.Tensor4D, tf.Tensor4D, tf.Tensor1D, tf.Tensor1D];
      const prelu = activation === "prelu" && { preluActivationWeights: slope };
      return { x, filter, strides: 1, pad: "same", bias, activation, leakyreluAlpha: 0.3, ...prelu } as const;
    };
    const shapes = (filter: number[]) => [[2, 5, 4, 3], filter, [6], [6]];
    const whole = await errorAgainstCpu(shapes([3, 3, 3, 6]), (...parts) => tf.fused.conv2d(of(parts)));
    const each = await errorAgainstCpu(shapes([3, 3, 3, 2]), (...parts) => tf.fused.depthwiseConv2d(of(parts)));
    expect(Math.max(whole, each)).toBeLessThan(tolerance);
  });
});
