import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { useBackend } from "../../src/backends/choose.ts";
import { onShapes } from "../../src/backends/shapes.ts";
import { describe as describeLayers } from "../../src/inspect/describe.ts";
import { Conv2d, countParameters, disposeWeights, Linear, parameters } from "../../src/layers/index.ts";

type Shape = number[];
type Compute = (...tensors: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** Operations with the shapes of what they are given; "int32" after a shape makes it whole numbers. */
const operations: readonly [name: string, inputs: (Shape | "int32")[], compute: Compute][] = [
  [
    "add, broadcast",
    [
      [2, 1, 3],
      [4, 1],
    ],
    (a, b) => tf.add(a!, b!),
  ],
  ["mul by a number", [[2, 3]], (x) => tf.mul(x!, 2)],
  ["greater", [[2, 3], [3]], (a, b) => tf.greater(a!, b!)],
  [
    "where",
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => tf.where(tf.less(a!, b!), a!, b!),
  ],
  ["logicalNot", [[2, 3]], (x) => tf.logicalNot(tf.greater(x!, 0))],
  ["erf", [[2, 3]], (x) => tf.erf(x!)],
  ["clipByValue", [[2, 3]], (x) => tf.clipByValue(x!, 0, 1)],
  ["cast", [[2, 3]], (x) => tf.cast(x!, "int32")],
  ["softmax", [[2, 3]], (x) => tf.softmax(x!)],
  ["mean over all", [[2, 3]], (x) => tf.mean(x!)],
  ["mean over axes", [[2, 3, 4]], (x) => tf.mean(x!, [0, -1])],
  ["sum, kept", [[2, 3, 4]], (x) => tf.sum(x!, 1, true)],
  ["max", [[2, 3, 4]], (x) => tf.max(x!, -1)],
  ["any", [[2, 3]], (x) => tf.any(tf.greater(x!, 0), 0)],
  ["argMax", [[2, 3, 4]], (x) => tf.argMax(x!, 1)],
  ["moments", [[2, 3, 4]], (x) => Object.values(tf.moments(x!, [1, 2], true)) as tf.Tensor[]],
  [
    "matMul",
    [
      [2, 3],
      [3, 4],
    ],
    (a, b) => tf.matMul(a!, b!),
  ],
  [
    "matMul, transposed",
    [
      [5, 3, 2],
      [5, 4, 3],
    ],
    (a, b) => tf.matMul(a!, b!, true, true),
  ],
  [
    "matMul, broadcast",
    [
      [2, 1, 3, 4],
      [5, 4, 6],
    ],
    (a, b) => tf.matMul(a!, b!),
  ],
  [
    "conv2d, same",
    [
      [1, 5, 7, 3],
      [3, 3, 3, 4],
    ],
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, "same"),
  ],
  [
    "conv2d, valid",
    [
      [1, 5, 7, 3],
      [3, 3, 3, 4],
    ],
    (x, w) => tf.conv2d(x as tf.Tensor4D, w as tf.Tensor4D, 2, "valid"),
  ],
  [
    "depthwiseConv2d",
    [
      [1, 5, 7, 3],
      [3, 3, 3, 2],
    ],
    (x, w) => tf.depthwiseConv2d(x as tf.Tensor4D, w as tf.Tensor4D, 1, "same"),
  ],
  ["avgPool", [[1, 6, 8, 3]], (x) => tf.avgPool(x as tf.Tensor4D, 2, 2, "valid")],
  [
    "pad",
    [[2, 3]],
    (x) =>
      tf.pad(x!, [
        [1, 0],
        [0, 2],
      ]),
  ],
  [
    "mirrorPad",
    [[4, 3]],
    (x) =>
      tf.mirrorPad(
        x!,
        [
          [1, 0],
          [0, 2],
        ],
        "reflect",
      ),
  ],
  [
    "concat",
    [
      [2, 3],
      [2, 5],
    ],
    (a, b) => tf.concat([a!, b!], -1),
  ],
  ["split", [[2, 6]], (x) => tf.split(x!, 3, -1)],
  ["split by sizes", [[2, 6]], (x) => tf.split(x!, [1, 5], 1)],
  [
    "stack",
    [
      [2, 3],
      [2, 3],
    ],
    (a, b) => tf.stack([a!, b!], 1),
  ],
  ["unstack", [[2, 3, 4]], (x) => tf.unstack(x!, 1)],
  ["gather", [[5, 3], [2, 4], "int32"], (x, ids) => tf.gather(x!, ids as tf.Tensor1D)],
  ["gather along an axis", [[2, 5, 3], [4], "int32"], (x, ids) => tf.gather(x!, ids as tf.Tensor1D, 1)],
  ["oneHot", [[4], "int32"], (ids) => tf.oneHot(ids!, 6)],
  ["reshape", [[2, 3, 4]], (x) => tf.reshape(x!, [6, -1])],
  ["expandDims", [[2, 3]], (x) => tf.expandDims(x!, -1)],
  ["squeeze", [[2, 1, 3]], (x) => tf.squeeze(x!, [1])],
  ["transpose", [[2, 3, 4]], (x) => tf.transpose(x!, [2, 0, 1])],
  ["slice", [[4, 5]], (x) => tf.slice(x!, [1, 2], [-1, 2])],
  ["stridedSlice", [[4, 5]], (x) => tf.stridedSlice(x!, [0, 1], [4, 5], [2, 3])],
  ["tile", [[2, 3]], (x) => tf.tile(x!, [2, 4])],
  ["reverse", [[2, 3]], (x) => tf.reverse(x!, 0)],
  ["cumsum", [[2, 3]], (x) => tf.cumsum(x!, 1)],
  ["resizeNearestNeighbor", [[1, 4, 6, 3]], (x) => tf.image.resizeNearestNeighbor(x as tf.Tensor4D, [7, 5])],
  ["resizeBilinear", [[1, 4, 6, 3]], (x) => tf.image.resizeBilinear(x as tf.Tensor4D, [8, 12])],
  ["fill", [], () => tf.fill([2, 3], 1)],
  ["range", [], () => tf.range(0, 7, 2, "int32")],
  ["linspace", [], () => tf.linspace(0, 1, 5)],
  ["a tensor of values", [], () => tf.tensor([1, 2, 3])],
];

function outputsOf(
  inputs: readonly (Shape | "int32")[],
  compute: Compute,
  make: (shape: Shape, dtype: tf.DataType) => tf.Tensor,
) {
  const tensors = inputs.flatMap((shape, i) =>
    shape === "int32" ? [] : [make(shape, inputs[i + 1] === "int32" ? "int32" : "float32")],
  );
  const outputs = [compute(...tensors)].flat();
  return outputs.map(({ shape, dtype }) => ({ shape, dtype }));
}

describe("the backend of shapes", () => {
  // "cpu" has every kernel that tfjs has.
  it.each(operations)("agrees with a real one on %s", async (_, inputs, compute) => {
    await useBackend("cpu");
    const real = tf.tidy(() => outputsOf(inputs, compute, (shape, dtype) => tf.zeros(shape, dtype)));
    expect(onShapes(({ tensor }) => tf.tidy(() => outputsOf(inputs, compute, tensor)))).toEqual(real);
  });

  it("counts two operations for each multiply–add of products and convolutions", () => {
    const count = (run: (tensor: (shape: Shape) => tf.Tensor) => void) =>
      onShapes(({ tensor, flops }) => {
        run(tensor);
        return flops();
      });
    expect(count((tensor) => tf.matMul(tensor([2, 3, 5]), tensor([2, 5, 7])))).toBe(2 * 2 * 3 * 5 * 7);
    expect(count((tensor) => tf.matMul(tensor([5, 3]), tensor([7, 5]), true, true))).toBe(2 * 3 * 5 * 7);
    const conv = (tensor: (shape: Shape) => tf.Tensor) =>
      tf.conv2d(tensor([2, 8, 10, 3]) as tf.Tensor4D, tensor([3, 3, 3, 4]) as tf.Tensor4D, 2, "valid");
    expect(count(conv)).toBe(2 * (2 * 3 * 4 * 4) * (3 * 3 * 3));
    expect(count((tensor) => tf.softmax(tf.add(tensor([9, 9]), 1)))).toBe(0);
  });

  it("leaves the active backend, its tensors and the registry as they were", async () => {
    await useBackend("wasm");
    const kept = tf.tensor([1, 2, 3]);
    const before = { ...tf.memory(), backend: tf.getBackend() };
    onShapes(({ tensor }) => tf.tidy(() => tf.add(tensor([4000, 4000, 40]), 1)));
    expect({ ...tf.memory(), backend: tf.getBackend() }).toEqual(before);
    expect(tf.getKernelsForBackend("shapes")).toEqual([]);
    expect(tf.engine().registryFactory).not.toHaveProperty("shapes");
    const sum = tf.add(kept, 1);
    expect([...(await sum.data())]).toEqual([2, 3, 4]);
    tf.dispose([kept, sum]);
  });

  it("does so after an error too, and says what it can't do", () => {
    const backend = tf.getBackend();
    expect(() => onShapes(({ tensor }) => tensor([1]).dataSync())).toThrow(/only shapes here, no values/);
    expect(() => onShapes(({ tensor }) => tf.spectral.fft(tf.cast(tensor([4]), "complex64")))).toThrow(
      /not registered/,
    );
    expect(tf.getBackend()).toBe(backend);
    expect(tf.engine().registryFactory).not.toHaveProperty("shapes");
  });

  it("takes sizes that no memory holds", () => {
    const shape = onShapes(({ tensor }) => tf.matMul(tensor([1e6, 1e6]), tensor([1e6, 1e6])).shape);
    expect(shape).toEqual([1e6, 1e6]);
  });
});

describe("describe", () => {
  it("gives the tree of any layer", () => {
    const conv = new Conv2d(3, 8, { kernel: 3, padding: 1 });
    const description = describeLayers(conv, (input) => conv.apply(input([2, 4, 6, 3]) as tf.Tensor4D), {
      name: "conv",
    });
    expect(description).toEqual({
      name: "conv",
      type: "Conv2d",
      parameters: 8 * 3 * 9 + 8,
      outputShape: [2, 4, 6, 8],
      flops: 2 * (2 * 4 * 6 * 8) * 27,
      weights: { weight: [8, 3, 3, 3], bias: [8] },
      children: [],
    });
    expect([...parameters(conv)].some(([, parameter]) => parameter.isLoaded)).toBe(false);
  });

  it("leaves a loaded model loaded", async () => {
    const linear = new Linear(2, 3);
    for (const [, parameter] of parameters(linear)) parameter.assign(tf.ones(parameter.valueShape));
    const before = tf.memory().numTensors;
    const { parameters: count } = describeLayers(linear, (input) => linear.apply(input([1, 2])));
    expect(count).toBe(countParameters(linear));
    expect(tf.memory().numTensors).toBe(before);
    const y = linear.apply(tf.tensor2d([[1, 2]]));
    expect([...(await y.data())]).toEqual([4, 4, 4]);
    disposeWeights(linear);
  });
});
