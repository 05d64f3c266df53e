import * as tf from "@tensorflow/tfjs-core";
import { binary, ints, operator, reshape, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { KernelCall, Kernels } from "../kernel.ts";
import { pad } from "./shape.ts";
import { type Window, window2d } from "./window.ts";
import { choose, concat, slice } from "./words.ts";

// Grayscale dilation: a convolution with max in place of sum, and sum in place of product. ONNX has none, so every cell of the
// filter is a picture of its own, and the outputs are the largest of them.

interface Dilation extends Window {
  /** What each cell of the filter gives, [B, H out, W out, C], row by row. */
  readonly candidates: readonly Node[];
  /** The padded input's height and width. */
  readonly padded: readonly [number, number];
}

function dilationOf({ inputs: { x, filter }, attrs: { strides, pad: padding, dilations } }: KernelCall): Dilation {
  const shapes = [x!.shape, filter!.shape] as [[number, number, number, number], [number, number, number]];
  const window = window2d(tf.backend_util.computeDilation2DInfo(...shapes, strides, padding, "NHWC", dilations));
  const [height, width] = [0, 1].map((i): [number, number] => [window.before[i]!, window.after[i]!]) as [Pair, Pair];
  const around = pad(x!, [[0, 0], height, width, [0, 0]], Number.NEGATIVE_INFINITY);
  const size = [shapes[0][0], window.outputs[0]!, window.outputs[1]!, shapes[0][3]];
  const candidates = cells(window).map(([row, column]) => {
    const begin = [0, row * window.dilations[0]!, column * window.dilations[1]!, 0];
    const weight = reshape(slice(filter!, [row, column, 0], [1, 1, size[3]!]), [size[3]!]);
    return binary("Add", slice(around, begin, size, [1, ...window.strides, 1]), weight);
  });
  return { ...window, candidates, padded: [around.shape[1]!, around.shape[2]!] };
}

type Pair = [number, number];

function cells({ sizes: [height, width] }: Window): Pair[] {
  return Array.from({ length: height! * width! }, (_, i) => [Math.floor(i / width!), i % width!]);
}

const largest = ({ candidates }: Dilation) => candidates.reduce((a, b) => binary("Max", a, b));

/** For each cell of the filter dy, where it was the first that gave the output, and 0 elsewhere. */
function shares(dilation: Dilation, dy: Node): Node[] {
  const output = largest(dilation);
  let isFree: Node | undefined;
  return dilation.candidates.map((candidate) => {
    const isEqual = binary("Equal", candidate, output, "bool");
    const isSource = isFree ? binary("And", isEqual, isFree, "bool") : isEqual;
    const isOther = unary("Not", isSource);
    isFree = isFree ? binary("And", isFree, isOther, "bool") : isOther;
    return choose(isSource, dy, scalar(0, dy.type));
  });
}

export const dilation: Kernels = {
  Dilation2D: (call) => largest(dilationOf(call)),

  Dilation2DBackpropFilter: (call) => {
    const { filter, dy } = call.inputs;
    const channels = filter!.shape[2]!;
    const sums = shares(dilationOf(call), dy!).map((share) =>
      operator("ReduceSum", [share, ints([0, 1, 2])], { type: dy!.type, shape: [channels] }, { keepdims: 0n }),
    );
    return reshape(concat(sums, 0), filter!.shape);
  },

  Dilation2DBackpropInput: (call) => {
    const { x, dy } = call.inputs;
    const dilation = dilationOf(call);
    const places = cells(dilation);
    const spread = shares(dilation, dy!).map((share, i) => putBack(share, places[i]!, dilation));
    const sum = spread.reduce((a, b) => binary("Add", a, b));
    return slice(sum, [0, ...dilation.before, 0], x!.shape);
  },
};

/** A cell's share of dy at the places of the padded input that the cell saw. */
function putBack(share: Node, cell: Pair, { strides, dilations, padded }: Dilation): Node {
  const [batch, height, width, channels] = share.shape as [number, number, number, number];
  const rows = reshape(share, [batch, height, 1, width, 1, channels]);
  const gaps = strides.map((stride): Pair => [0, stride - 1]);
  const apart = pad(rows, [[0, 0], [0, 0], gaps[0]!, [0, 0], gaps[1]!, [0, 0]], 0);
  const whole = reshape(apart, [batch, height * strides[0]!, width * strides[1]!, channels]);
  const lengths = [height, width].map((count, side) => (count - 1) * strides[side]! + 1);
  const around = lengths.map((length, side): Pair => {
    const before = cell[side]! * dilations[side]!;
    return [before, padded[side]! - before - length];
  });
  const seen = slice(whole, [0, 0, 0, 0], [batch, ...lengths, channels]);
  return pad(seen, [[0, 0], around[0]!, around[1]!, [0, 0]], 0);
}
