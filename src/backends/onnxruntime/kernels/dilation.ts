import * as tf from "@tensorflow/tfjs-core";
import { binary, cast, ints, operator, reshape, scalar, sizeOf } from "../build.ts";
import type { Node } from "../graph.ts";
import type { KernelCall, Kernels } from "../kernel.ts";
import { cellsSeen, columns } from "./columns.ts";
import type { Shape4D } from "./convolution.ts";
import { type Window, window2d } from "./window.ts";

// Morphological dilation: a convolution with the largest sum in place of the sum of products.

/** What stands outside of a picture: nothing is smaller. */
const outside = Number.MIN_SAFE_INTEGER;

/** For each place the sums of what the filter sees and the filter, [N · places, cells of the filter, C]. */
function sumsOf({ inputs: { x, filter }, attrs: { strides, pad, dilations } }: KernelCall): {
  sums: Node;
  window: Window;
} {
  const filterShape = filter!.shape as [number, number, number];
  const info = tf.backend_util.computeDilation2DInfo(x!.shape as Shape4D, filterShape, strides, pad, "NHWC", dilations);
  const window = window2d(info);
  const [height, width, channels] = filterShape;
  const seen = columns(x!, window, outside);
  const places = seen.shape[0]!;
  const sums = binary(
    "Add",
    reshape(seen, [places, height * width, channels]),
    reshape(filter!, [1, height * width, channels]),
  );
  return { sums, window };
}

/** dy where a cell of the filter gave the largest sum, the first of them, and zeros: the shape of `sums`. */
function shares(sums: Node, dy: Node): Node {
  const [places, taps, channels] = sums.shape as [number, number, number];
  const largest = operator(
    "ArgMax",
    [sums],
    { type: "int64", shape: [places, 1, channels] },
    { axis: 1n, keepdims: 1n },
  );
  const isLargest = binary("Equal", reshape(ints([...Array(taps).keys()]), [1, taps, 1]), largest, "bool");
  return operator("Where", [isLargest, reshape(dy, [places, 1, channels]), scalar(0, "float32")], sums);
}

export const dilation: Kernels = {
  Dilation2D: (call) => {
    const { sums, window } = sumsOf(call);
    const [places, , channels] = sums.shape as [number, number, number];
    const largest = operator(
      "ReduceMax",
      [sums, ints([1])],
      { type: "float32", shape: [places, channels] },
      { keepdims: 0n },
    );
    return cast(reshape(largest, [call.x.shape[0]!, ...window.outputs, channels]), call.x.type);
  },
  Dilation2DBackpropFilter: (call) => {
    const { sums } = sumsOf(call);
    const shared = shares(sums, call.inputs.dy!);
    const { shape } = call.inputs.filter!;
    const total = operator(
      "ReduceSum",
      [shared, ints([0])],
      { type: "float32", shape: sums.shape.slice(1) },
      { keepdims: 0n },
    );
    return reshape(total, shape);
  },
  Dilation2DBackpropInput: (call) => {
    const { sums, window } = sumsOf(call);
    const { x, dy } = call.inputs;
    const channels = x!.shape[3]!;
    const cells = sizeOf(x!.shape) / channels;
    const index = cellsSeen(x!.shape[0]!, window);
    const count = sizeOf(index.shape);
    const zeros = operator("ConstantOfShape", [ints([cells + 1, channels])], {
      type: "float32",
      shape: [cells + 1, channels],
    });
    const updates = reshape(shares(sums, dy!), [count, channels]);
    const at = reshape(cast(index, "int64"), [count, 1]);
    const all = operator("ScatterND", [zeros, at, updates], zeros, { reduction: "add" });
    const inside = operator("Slice", [all, ints([0]), ints([cells]), ints([0])], {
      type: "float32",
      shape: [cells, channels],
    });
    return reshape(inside, x!.shape);
  },
};
