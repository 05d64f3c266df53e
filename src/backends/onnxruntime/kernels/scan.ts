import { binary, cast, operator, scalar } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { concat, expand, slice } from "./words.ts";

// Running sums and products.

export const scans: Kernels = {
  Cumsum: ({ x, attrs }) => {
    const { axis, exclusive, reverse } = attrs as { axis: number; exclusive: boolean; reverse: boolean };
    const numbers = x.type === "bool" ? cast(x, "int32") : x;
    if (x.shape.length === 0) return exclusive ? scalar(0, numbers.type) : numbers;
    const flags = { exclusive: exclusive ? 1n : 0n, reverse: reverse ? 1n : 0n };
    return operator("CumSum", [numbers, scalar(axis, "int64")], numbers, flags);
  },
  Cumprod: ({ x, attrs }) => {
    const { axis, exclusive, reverse } = attrs as { axis: number; exclusive: boolean; reverse: boolean };
    const numbers = x.type === "bool" ? cast(x, "int32") : x;
    if (x.shape.length === 0) return exclusive ? scalar(1, numbers.type) : numbers;
    const place = axis < 0 ? axis + x.shape.length : axis;
    const towards = reverse ? -1 : 1;
    return runningProduct(exclusive ? shift(numbers, place, towards) : numbers, place, towards);
  },
};

/** ONNX has no running product. Each step doubles how many factors every place has. */
function runningProduct(x: Node, axis: number, towards: 1 | -1): Node {
  let product = x;
  for (let reach = 1; reach < x.shape[axis]!; reach *= 2) {
    product = binary("Mul", product, shift(product, axis, towards * reach));
  }
  return product;
}

/** Moves a tensor along an axis; ones come in. */
function shift(x: Node, axis: number, by: number): Node {
  const distance = Math.min(Math.abs(by), x.shape[axis]!);
  const along = (length: number) => x.shape.map((size, i) => (i === axis ? length : size));
  const begin = x.shape.map((_, i) => (i === axis && by < 0 ? distance : 0));
  const ones = expand(scalar(1, x.type), along(distance));
  const rest = slice(x, begin, along(x.shape[axis]! - distance));
  return concat(by > 0 ? [ones, rest] : [rest, ones], axis);
}
