import * as tf from "@tensorflow/tfjs-core";
import { cast, ints, operator, reshape, scalar, sizeOf } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import { choose, expand, isNan } from "./words.ts";

// Many numbers become one.

/** An operator over axes, or what it gives where there is nothing to reduce. */
function reduce(type: string, x: Node, axes: readonly number[], isKept: boolean): Node {
  const kept = x.shape.map((length, i) => (axes.includes(i) ? 1 : length));
  const shape = isKept ? kept : x.shape.filter((_, i) => !axes.includes(i));
  if (axes.length === 0) return x;
  if (sizeOf(x.shape) === 0) return expand(scalar(ofNothing[type]!, x.type), shape);
  return operator(type, [x, ints(axes)], { type: x.type, shape }, { keepdims: isKept ? 1n : 0n });
}

/**
 * A sum or mean that keeps its digits: of many numbers, those of one axis first, or of parts of it. (One float32 that a
 * million numbers are added to loses the last digits of each.)
 */
function inStages(type: string, x: Node, axes: readonly number[], isKept: boolean): Node {
  const long = axes.filter((axis) => x.shape[axis]! > 1);
  const count = long.reduce((product, axis) => product * x.shape[axis]!, 1);
  if (x.type !== "float32" || count < 2 ** 16) return reduce(type, x, axes, isKept);
  const axis = long.at(-1)!;
  if (long.length > 1) return inStages(type, reduce(type, x, [axis], true), axes, isKept);
  const length = partOf(count);
  const parts = reshape(x, [...x.shape.slice(0, axis), count / length, length, ...x.shape.slice(axis + 1)]);
  return reduce(type, reduce(type, parts, [axis + 1], false), axes, isKept);
}

/** The largest divisor below the square root: 1 of a prime number. */
function partOf(count: number): number {
  let part = Math.floor(Math.sqrt(count));
  while (count % part !== 0) part--;
  return part;
}

const ofNothing: Readonly<Record<string, number>> = {
  ReduceSum: 0,
  ReduceProd: 1,
  ReduceMax: Number.NEGATIVE_INFINITY,
  ReduceMin: Number.POSITIVE_INFINITY,
};

const axesOf = (axis: number | number[], x: Node) => tf.util.parseAxisParam(axis, x.shape as number[]);

/** The largest or smallest, and NaN where there is one: ONNX Runtime's may lose it. */
function extreme(type: string, x: Node, axes: readonly number[], isKept: boolean): Node {
  if (x.type === "bool") return cast(extreme(type, cast(x, "int32"), axes, isKept), "bool");
  const found = reduce(type, x, axes, isKept);
  if (x.type !== "float32" || axes.length === 0) return found;
  const hasNan = cast(reduce("ReduceMax", cast(isNan(x), "int32"), axes, isKept), "bool");
  return choose(hasNan, scalar(Number.NaN, "float32"), found);
}

const number = (x: Node) => (x.type === "bool" ? cast(x, "int32") : x);
const reduction =
  (type: string): Kernel =>
  ({ x, attrs }) =>
    reduce(type, number(x), axesOf(attrs.axis, x), attrs.keepDims);

const quantifier =
  (type: string): Kernel =>
  ({ x, attrs }) =>
    cast(reduce(type, cast(x, "int32"), axesOf(attrs.axis, x), attrs.keepDims), "bool");

const place =
  (type: string): Kernel =>
  ({ x, attrs }) => {
    const axis = axesOf(attrs.axis, x)[0] ?? 0;
    const shape = x.shape.filter((_, i) => i !== axis);
    if (x.shape.length === 0) return scalar(0, "int32");
    const output = { type: "int64", shape } as const;
    const never = scalar(type === "ArgMax" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY, "float32");
    const candidates = x.type === "float32" ? choose(isNan(x), never, x) : number(x);
    return cast(operator(type, [candidates], output, { axis: BigInt(axis), keepdims: 0n }), "int32");
  };

export const reductions: Kernels = {
  Sum: ({ x, attrs }) => inStages("ReduceSum", number(x), axesOf(attrs.axis, x), attrs.keepDims),
  Prod: reduction("ReduceProd"),
  Mean: ({ x, attrs }) => {
    const [floats, axes] = [cast(x, "float32"), axesOf(attrs.axis, x)];
    if (sizeOf(x.shape) > 0) return inStages("ReduceMean", floats, axes, attrs.keepDims);
    return reduce("ReduceSum", floats, axes, attrs.keepDims);
  },
  Max: ({ x, attrs }) => extreme("ReduceMax", x, axesOf(attrs.reductionIndices ?? attrs.axis, x), attrs.keepDims),
  Min: ({ x, attrs }) => extreme("ReduceMin", x, axesOf(attrs.axis, x), attrs.keepDims),
  All: quantifier("ReduceMin"),
  Any: quantifier("ReduceMax"),
  ArgMax: place("ArgMax"),
  ArgMin: place("ArgMin"),
};
