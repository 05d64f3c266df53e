import { ints, sizeOf } from "./build.ts";
import { type Call, type Node, newCall, type OutputSpec } from "./graph.ts";

// ONNX Runtime's kernels for WebGPU add up the products of float16 in float16, where PyTorch's do so in float32: 4,096 ones come to
// 2,048, and each number that is added rounds the sum. So a long sum is had as the sum of short ones.

/** Numbers that are added up one after the other. */
const longestSum = 512;

/** Along which axes of its two operands an operator adds up, how far, and how far in one sum. */
interface Inner {
  readonly axes: readonly [number, number];
  readonly length: number;
  readonly most: number;
}

function innerOf({ type, inputs, attributes }: Omit<Call, "outputs">): Inner {
  const [a, b] = inputs as [Node, Node];
  if (type === "Conv") {
    const most = 4 * Math.floor(longestSum / sizeOf(b.shape.slice(2)) / 4); // channels are taken by fours
    return { axes: [1, 1], length: b.shape[1]!, most };
  }
  const axes = [
    attributes.transA === 1n ? a.shape.length - 2 : a.shape.length - 1,
    attributes.transB === 1n ? b.shape.length - 1 : b.shape.length - 2,
  ] as const;
  return { axes, length: a.shape[axes[0]]!, most: longestSum };
}

/** Whether the sums of a product are short, or can be split. */
export function canBeShort(call: Call): boolean {
  const { length, most } = innerOf(call);
  return length <= most || (most > 0 && (call.attributes.group ?? 1n) === 1n);
}

/** A product by short sums: the operators that compute it, of which the last gives the result. */
export function inShortSums(product: Omit<Call, "outputs">, output: OutputSpec): Call[] {
  const { axes, length, most } = innerOf(product);
  if (length <= most) return [newCall(product, [output])];
  const calls: Call[] = [];
  const add = (type: string, inputs: readonly Node[], given: OutputSpec): Node => {
    const call = type === product.type ? { ...product, inputs } : { ...product, type, inputs, attributes: {} };
    calls.push(newCall(call, [given]));
    return calls.at(-1)!.outputs[0]!;
  };
  const part = (i: 0 | 1, start: number, end: number): Node => {
    const [x, axis] = [product.inputs[i]!, axes[i]];
    const spec = { type: x.type, shape: x.shape.with(axis, end - start) };
    return add("Slice", [x, ints([start]), ints([end]), ints([axis])], spec);
  };
  let sum: Node | undefined;
  for (let start = 0; start < length; start += most) {
    const end = Math.min(length, start + most);
    const next = add(product.type, [part(0, start, end), part(1, start, end)], output);
    sum = sum ? add("Add", [sum, next], output) : next;
  }
  return calls;
}
