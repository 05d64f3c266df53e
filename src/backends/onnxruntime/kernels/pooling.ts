import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../../../errors.ts";
import { binary, cast, equal, ints, operator, reshape, scalar, sizeOf } from "../build.ts";
import { leaf, type Node, record } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import { columns } from "./columns.ts";
import type { Shape4D, Shape5D } from "./convolution.ts";
import { linearMap } from "./linear-map.ts";
import { pad } from "./shape.ts";
import { channelsFirst, channelsLast, readPart, type Window, window2d, window3d, windowAttributes } from "./window.ts";
import { slice } from "./words.ts";

// biome-ignore lint/suspicious/noExplicitAny: as tfjs passes it
function poolWindow(x: Node, { filterSize, strides, pad, dimRoundingMode }: any): Window {
  const { computePool2DInfo, computePool3DInfo } = tf.backend_util;
  return x.shape.length === 4
    ? window2d(computePool2DInfo(x.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode))
    : window3d(computePool3DInfo(x.shape as Shape5D, filterSize, strides, 1, pad, dimRoundingMode));
}

/** The largest number in each window, and where it is: its number among all of [N, C, sides]. Both [N, C, sides]. */
function largest(x: Node, window: Window): { values: Node; places: Node } {
  const input = channelsFirst(cast(x, "float32"));
  const shape = [x.shape[0]!, x.shape.at(-1)!, ...window.outputs];
  const outputs = [
    { type: "float32", shape },
    { type: "int64", shape },
  ] as const;
  const [values, places] = record("MaxPool", [input], outputs, windowAttributes(window));
  return { values: values!, places: places! };
}

const maxPool: Kernel = ({ x, attrs }) => {
  const window = poolWindow(x, attrs);
  if (isIdentity(window)) return x;
  const input = cast(x, "float32");
  const lowest = Number.NEGATIVE_INFINITY;
  return cast(isWide(window) ? reduced("ReduceMax", input, window, lowest) : pool("MaxPool", input, window), x.type);
};

/** A mean counts the cells of the picture only. */
const averagePool: Kernel = ({ x, attrs }) => {
  const window = poolWindow(x, attrs);
  const input = cast(x, "float32");
  if (isIdentity(window)) return input;
  if (!isWide(window)) return pool("AveragePool", input, window);
  const sums = reduced("ReduceSum", input, window, 0);
  return window.outputs.reduce((means, outputs, side) => {
    const weights = Float32Array.from({ length: outputs }, (_, place) => 1 / Math.max(1, cellsAt(window, side, place)));
    const shape = window.outputs.map((_, i) => (i === side ? outputs : 1));
    return binary("Mul", means, leaf("float32", [...shape, 1], { kind: "constant", values: weights }));
  }, sums);
};

/** tfjs leaves a picture as it is where nothing but padding would change it. */
function isIdentity({ sizes, inputs, outputs }: Window): boolean {
  return sizes.every((size) => size === 1) && equal(inputs, outputs);
}

function pool(type: string, x: Node, window: Window): Node {
  const shape = [x.shape[0]!, x.shape.at(-1)!, ...window.outputs];
  const input = channelsFirst(readPart(x, window));
  return channelsLast(operator(type, [input], { type: x.type, shape }, windowAttributes(window)));
}

/** The same from all that each window sees, for windows that ONNX's operators do not allow. */
function reduced(type: string, x: Node, window: Window, outside: number): Node {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const places = batch * sizeOf(window.outputs);
  const seen = reshape(columns(x, window, outside), [places, sizeOf(window.sizes), channels]);
  const rows = operator(type, [seen, ints([1])], { type: x.type, shape: [places, channels] }, { keepdims: 0n });
  return reshape(rows, [batch, ...window.outputs, channels]);
}

/** Whether there is as much padding as a window is long, which ONNX's operators do not allow. */
function isWide({ before, after, sizes }: Window): boolean {
  return sizes.some((size, side) => before[side]! >= size || after[side]! >= size);
}

/** Cells of the picture that a window sees along a side. */
function cellsAt({ strides, before, sizes, inputs }: Window, side: number, place: number): number {
  const first = place * strides[side]! - before[side]!;
  return Math.max(0, Math.min(first + sizes[side]!, inputs[side]!) - Math.max(first, 0));
}

const maxPoolGradient: Kernel = ({ inputs: { dy, input }, attrs }) => {
  const window = poolWindow(input!, attrs);
  if (!isWide(window)) return toLargest(dy!, input!, window);
  const [padded, inner] = withPadding(cast(input!, "float32"), window);
  return slice(toLargest(dy!, padded, inner), [0, ...window.before, 0], input!.shape);
};

/** Each window's gradient goes to where its largest number is. */
function toLargest(dy: Node, input: Node, window: Window): Node {
  const { places } = largest(input, window);
  const turned = channelsFirst(input).shape;
  const [size, count] = [sizeOf(input.shape), sizeOf(dy.shape)];
  const zeros = operator(
    "ConstantOfShape",
    [leaf("int64", [1], { kind: "constant", values: BigInt64Array.of(BigInt(size)) })],
    {
      type: "float32",
      shape: [size],
    },
  );
  const updates = reshape(channelsFirst(dy), [count]);
  const sums = operator("ScatterElements", [zeros, reshape(places, [count]), updates], zeros, {
    axis: 0n,
    reduction: "add",
  });
  return channelsLast(reshape(sums, turned));
}

/** The padding as cells of the picture, less than every number, and the window that moves over them all. */
function withPadding(x: Node, window: Window): [Node, Window] {
  const { before, after, inputs } = window;
  const none = inputs.map(() => 0);
  const paddings = inputs.map((_, side): [number, number] => [before[side]!, after[side]!]);
  const padded = pad(x, [[0, 0], ...paddings, [0, 0]], Number.NEGATIVE_INFINITY);
  return [padded, { ...window, before: none, after: none, inputs: padded.shape.slice(1, -1) }];
}

/** Each window's gradient is shared among its cells, as tfjs does it: those beyond the picture count too. */
const averagePoolGradient: Kernel = ({ inputs: { dy, input }, attrs }) => {
  const window = poolWindow(input!, attrs);
  let gradient = dy!;
  for (const [side, length] of window.inputs.entries()) {
    const [size, outputs] = [window.sizes[side]!, window.outputs[side]!];
    gradient = linearMap(gradient, side + 1, length, outputs, (to, from) => {
      const cell = to + window.before[side]! - from * window.strides[side]!;
      return cell >= 0 && cell < size ? 1 / size : 0;
    });
  }
  return gradient;
};

/** The place is numbered as tfjs numbers it: within [H, W, C], or within [N, H, W, C]. */
const maxPoolWithArgmax: Kernel = ({ x, attrs }) => {
  const isNumber = operator("Equal", [x, x], { type: "bool", shape: x.shape });
  const numbers = operator("Where", [isNumber, x, scalar(Number.NEGATIVE_INFINITY, x.type)], x);
  const window = poolWindow(x, attrs);
  if (isWide(window)) {
    throw new InputError("MaxPoolWithArgmax: the padding must be smaller than the window, whose cells are numbered.");
  }
  const { values, places } = largest(numbers, window);
  const [, height, width, channels] = x.shape as Shape4D;
  const [area, all] = [scalar(height * width, "int64"), scalar(height * width * channels, "int64")];
  const cell = binary("Mod", places, area);
  const channel = binary("Mod", binary("Div", places, area), scalar(channels, "int64"));
  const within = binary("Add", binary("Mul", cell, scalar(channels, "int64")), channel);
  const picture = binary("Mul", binary("Div", places, all), all);
  const numbered = attrs.includeBatchInIndex ? binary("Add", within, picture) : within;
  return [cast(channelsLast(values), x.type), cast(channelsLast(numbered), "int32")];
};

export const pooling: Kernels = {
  MaxPool: maxPool,
  MaxPool3D: maxPool,
  MaxPoolGrad: maxPoolGradient,
  MaxPool3DGrad: maxPoolGradient,
  MaxPoolWithArgmax: maxPoolWithArgmax,
  AvgPool: averagePool,
  AvgPool3D: averagePool,
  AvgPoolGrad: averagePoolGradient,
  AvgPool3DGrad: averagePoolGradient,
};
