import { binary, operator } from "../build.ts";
import { leaf, type Node } from "../graph.ts";
import { reach, type Window } from "./window.ts";

/** Along one axis of a grid, what each of its places adds to a number. */
export type Steps = readonly number[];

/**
 * For every place of a grid a number, the sum of what each of its axes adds, and at most `limit`. It is made of one short
 * list an axis, so that the graph stays small; ONNX Runtime adds them up once.
 */
export function grid(axes: readonly Steps[], limit?: number): Node {
  const parts = axes.map((steps, axis) => {
    const shape = axes.map((_, i) => (i === axis ? steps.length : 1));
    return leaf("int32", shape, { kind: "constant", values: Int32Array.from(steps) });
  });
  const sum = parts.reduce((a, b) => binary("Add", a, b));
  if (limit === undefined) return sum;
  return binary("Min", sum, leaf("int32", [], { kind: "constant", values: Int32Array.of(limit) }));
}

/** 0, step, 2 · step, … */
export function steps(count: number, step: number): Steps {
  return Array.from({ length: count }, (_, i) => i * step);
}

/** The cells of a side and of its padding: each cell's number times `step`, or `none` for the padding. */
export function paddedSide(window: Window, side: number, step: number, none: number): Steps {
  return Array.from({ length: reach(window, side) }, (_, i) => {
    const cell = i - window.before[side]!;
    return cell >= 0 && cell < window.inputs[side]! ? cell * step : none;
  });
}

/** The rows of x that a grid names: [rows, n] → [...grid, n] */
export function rowsAt(x: Node, index: Node): Node {
  const shape = [...index.shape, x.shape[1]!];
  return operator("Gather", [x, index], { type: x.type, shape }, { axis: 0n });
}

/** x [rows, n] and a row of one number, of zeros by default. Its number is `rows`. */
export function withRow(x: Node, value = 0): Node {
  const [rows, length] = x.shape as [number, number];
  const row = leaf("float32", [1, length], { kind: "constant", values: new Float32Array(length).fill(value) });
  return operator("Concat", [x, row], { type: x.type, shape: [rows + 1, length] }, { axis: 0n });
}
