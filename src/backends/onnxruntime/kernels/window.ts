import type * as tf from "@tensorflow/tfjs-core";
import { big, equal, ints, operator, transpose } from "../build.ts";
import type { Node } from "../graph.ts";

/** How a filter moves over a picture or a volume. Each list has one number a side: height and width, or depth too. */
export interface Window {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Cells beyond the input that the filter reaches, before its first and behind its last. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export function window2d(info: tf.backend_util.Conv2DInfo): Window {
  return windowOf({
    sizes: [info.filterHeight, info.filterWidth],
    strides: [info.strideHeight, info.strideWidth],
    dilations: [info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.top, info.padInfo.left],
    inputs: [info.inHeight, info.inWidth],
    outputs: [info.outHeight, info.outWidth],
  });
}

export function window3d(info: tf.backend_util.Conv3DInfo): Window {
  return windowOf({
    sizes: [info.filterDepth, info.filterHeight, info.filterWidth],
    strides: [info.strideDepth, info.strideHeight, info.strideWidth],
    dilations: [info.dilationDepth, info.dilationHeight, info.dilationWidth],
    before: [info.padInfo.front, info.padInfo.top, info.padInfo.left],
    inputs: [info.inDepth, info.inHeight, info.inWidth],
    outputs: [info.outDepth, info.outHeight, info.outWidth],
  });
}

/** What lies behind the input follows from the output: tfjs can round its size up, ONNX can't. */
function windowOf(window: Omit<Window, "after">): Window {
  const after = window.inputs.map((length, i) => Math.max(0, reach(window, i) - window.before[i]! - length));
  return { ...window, after };
}

/** Cells between the first and the last that a filter reads along a side, both included. */
export function reach({ sizes, strides, dilations, outputs }: Omit<Window, "after">, side: number): number {
  return (outputs[side]! - 1) * strides[side]! + (sizes[side]! - 1) * dilations[side]! + 1;
}

/**
 * x [N, sides, C] without the cells at the end of a side that tfjs's number of outputs leaves unread, though they would make
 * one output more: with a number as padding it counts the outputs of both sides by the filter's height.
 */
export function readPart(x: Node, window: Window): Node {
  const { inputs, strides, before } = window;
  const lengths = inputs.map((length, side) => {
    const read = reach(window, side) - before[side]!;
    return length - read < strides[side]! ? length : read;
  });
  return firstCells(x, lengths);
}

/** x [N, sides, C] up to some length on each side */
export function firstCells(x: Node, lengths: readonly number[]): Node {
  const shape = [x.shape[0]!, ...lengths, x.shape.at(-1)!];
  if (equal(shape, x.shape)) return x;
  const axes = lengths.map((_, side) => side + 1);
  return operator("Slice", [x, ints(axes.map(() => 0)), ints(lengths), ints(axes)], { type: x.type, shape });
}

/** Whether every output sees the one input at its own place. */
export function isPointwise({ sizes, strides, before, after }: Window): boolean {
  const all = (list: readonly number[], value: number) => list.every((item) => item === value);
  return all(sizes, 1) && all(strides, 1) && all(before, 0) && all(after, 0);
}

/** A window in the attributes of ONNX's operators. */
export function windowAttributes({ sizes, strides, dilations, before, after }: Window) {
  return {
    kernel_shape: big(sizes),
    strides: big(strides),
    dilations: big(dilations),
    pads: big([...before, ...after]),
  };
}

/** [N, sides, C] → [N, C, sides] */
export function channelsFirst(x: Node): Node {
  const sides = x.shape.slice(1, -1).map((_, i) => i + 1);
  return transpose(x, [0, x.shape.length - 1, ...sides]);
}

/** [N, C, sides] → [N, sides, C] */
export function channelsLast(x: Node): Node {
  const sides = x.shape.slice(2).map((_, i) => i + 2);
  return transpose(x, [0, ...sides, 1]);
}
