import { big, binary, broadcast, cast, equal, ints, operator, scalar, sizeOf } from "../build.ts";
import { leaf, type Node, type Values } from "../graph.ts";
import type { ElementType } from "../onnx.ts";

// Words that several tables of kernels use.

/** Runs an operator that ONNX Runtime has for numbers but not for booleans. */
export function overIntegers(inputs: readonly Node[], run: (inputs: Node[]) => Node): Node {
  if (inputs.every(({ type }) => type !== "bool")) return run([...inputs]);
  return cast(run(inputs.map((node) => (node.type === "bool" ? cast(node, "int32") : node))), "bool");
}

/** Where the condition holds, a, elsewhere b. */
export function choose(condition: Node, a: Node, b: Node): Node {
  const shape = broadcast(condition.shape, broadcast(a.shape, b.shape));
  if (a.type === "bool") return cast(choose(condition, cast(a, "int32"), cast(b, "int32")), "bool");
  return operator("Where", [condition, a, b], { type: a.type, shape });
}

export function isNegative(x: Node): Node {
  return binary("Less", x, scalar(0, x.type), "bool");
}

export function isNan(x: Node): Node {
  return operator("IsNaN", [x], { type: "bool", shape: x.shape });
}

export function isInfinite(x: Node): Node {
  return operator("IsInf", [x], { type: "bool", shape: x.shape });
}

export function isZero(x: Node): Node {
  return binary("Equal", x, scalar(0, x.type), "bool");
}

/** A node repeated along axes of length 1, or new ones in front. */
export function expand(x: Node, shape: readonly number[]): Node {
  if (equal(x.shape, shape)) return x;
  return operator("Expand", [x, ints(shape)], { type: x.type, shape });
}

/** 0, 1, … count − 1. */
export function counting(count: number, type: "int32" | "float32" = "int32"): Node {
  const bounds = [scalar(0, type), scalar(count, type), scalar(1, type)];
  return operator("Range", bounds, { type, shape: [count] });
}

/** Part of a tensor: from `begin`, in steps of `strides`, which may be negative. */
export function slice(x: Node, begin: readonly number[], size: readonly number[], strides?: readonly number[]): Node {
  if (equal(size, x.shape) && (strides ?? []).every((stride) => stride === 1)) return x;
  const steps = strides ?? begin.map(() => 1);
  const ends = begin.map((start, i) => {
    const end = start + size[i]! * steps[i]!;
    return end < 0 ? end - x.shape[i]! : end; // −1 would be the last place, not the one before the first
  });
  const axes = begin.map((_, i) => i);
  const optional = strides ? [ints(axes), ints(strides)] : [];
  return operator("Slice", [x, ints(begin), ints(ends), ...optional], { type: x.type, shape: size });
}

/** Tensors one after another along an axis. */
export function concat(parts: readonly Node[], axis: number): Node {
  const length = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
  const shape = parts[0]!.shape.map((size, i) => (i === axis ? length : size));
  const filled = parts.filter((part) => sizeOf(part.shape) > 0);
  if (filled.length <= 1) return filled[0] ?? expand(scalar(0, parts[0]!.type), shape);
  return operator("Concat", filled, { type: parts[0]!.type, shape }, { axis: BigInt(axis) });
}

/** What stands at some places of an axis. */
export function take(x: Node, places: Node, axis: number): Node {
  const shape = [...x.shape.slice(0, axis), ...places.shape, ...x.shape.slice(axis + 1)];
  return operator("Gather", [x, places], { type: x.type, shape }, { axis: BigInt(axis) });
}

/** Places known when the graph is recorded. */
export function places(values: readonly number[], shape: readonly number[] = [values.length]): Node {
  return leaf("int64", shape, { kind: "constant", values: BigInt64Array.from(big(values)) });
}

/** Numbers that JavaScript has, fed to the graph: they are no part of its structure. */
export function fed(values: Values, type: ElementType, shape: readonly number[]): Node {
  return leaf(type, shape, { kind: "host", values });
}
