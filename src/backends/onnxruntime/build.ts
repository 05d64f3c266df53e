import { type Call, leaf, type Node, record, type Values } from "./graph.ts";
import { type Attribute, castTo, type ElementType } from "./onnx.ts";

// Small words in which kernels are written: each records an operator, or finds that none is needed.

/** One operator with one output. */
export function operator(
  type: string,
  inputs: readonly (Node | undefined)[],
  output: { type: ElementType; shape: readonly number[] },
  attributes: { domain?: string } & Record<string, Attribute> = {},
): Node {
  return record(type, inputs, [output], attributes)[0]!;
}

/** A list of axes, a shape: part of the graph's structure. */
export function ints(values: readonly number[]): Node {
  return leaf("int64", [values.length], { kind: "constant", values: BigInt64Array.from(values.map(BigInt)) });
}

/** A single number that belongs to the operator, not to what it is used on. */
export function scalar(value: number, type: ElementType): Node {
  return leaf(type, [], { kind: "constant", values: valuesOf(value, type) });
}

function valuesOf(value: number, type: ElementType): Values {
  switch (type) {
    case "float32":
      return Float32Array.of(value);
    case "int32":
      return Int32Array.of(value);
    case "int64":
      return BigInt64Array.of(BigInt(value));
    default:
      return Uint8Array.of(value);
  }
}

export function big(values: readonly number[]): bigint[] {
  return values.map(BigInt);
}

export function reshape(x: Node, shape: readonly number[]): Node {
  if (equal(x.shape, shape)) return x;
  const allowzero = shape.includes(0) ? 1n : 0n; // otherwise 0 stands for the length that there was
  return operator("Reshape", [x, ints(shape)], { type: x.type, shape }, { allowzero });
}

/** Axis i of the result is axis `axes[i]` of x. Two transposes become one, or none. */
export function transpose(x: Node, axes: readonly number[]): Node {
  if (axes.every((axis, i) => axis === i)) return x;
  const call = callOf(x);
  if (call?.type === "Transpose") {
    const inner = (call.attributes.perm as readonly bigint[]).map(Number);
    return transpose(
      call.inputs[0]!,
      axes.map((axis) => inner[axis]!),
    );
  }
  return operator("Transpose", [x], { type: x.type, shape: axes.map((axis) => x.shape[axis]!) }, { perm: big(axes) });
}

export function cast(x: Node, type: ElementType): Node {
  if (x.type === type) return x;
  return operator("Cast", [x], { type, shape: x.shape }, castTo(type));
}

/** An operator of one input whose output has its shape and type. */
export function unary(type: string, x: Node, attributes: { domain?: string } & Record<string, Attribute> = {}): Node {
  return operator(type, [x], { type: x.type, shape: x.shape }, attributes);
}

/** An operator of two inputs that broadcasts; its output has their type unless another is given. */
export function binary(type: string, a: Node, b: Node, outputType: ElementType = a.type): Node {
  return operator(type, [a, b], { type: outputType, shape: broadcast(a.shape, b.shape) });
}

export function broadcast(a: readonly number[], b: readonly number[]): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [left, right] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (left !== right && left !== 1 && right !== 1) throw new Error(`Shapes [${a}] and [${b}] do not go together.`);
    return left === 1 ? right : left;
  });
}

/** The operator that a node comes from, while it is not computed. */
export function callOf(node: Node): Call | undefined {
  return node.origin.kind === "recorded" ? node.origin.call : undefined;
}

export function equal(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}
