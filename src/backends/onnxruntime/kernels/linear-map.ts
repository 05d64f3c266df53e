import { reshape, sizeOf } from "../build.ts";
import { leaf, type Node } from "../graph.ts";
import { matMul } from "./matmul.ts";

/** Along one axis, each number of the result is a sum of those of x with constant weights: `weight(to, from)`. */
export function linearMap(
  x: Node,
  axis: number,
  outLength: number,
  inLength: number,
  weight: (to: number, from: number) => number,
): Node {
  const values = Float32Array.from({ length: outLength * inLength }, (_, i) =>
    weight(Math.floor(i / inLength), i % inLength),
  );
  const matrix = leaf("float32", [outLength, inLength], { kind: "constant", values });
  const [before, after] = [x.shape.slice(0, axis), x.shape.slice(axis + 1)];
  const product = matMul(matrix, reshape(x, [sizeOf(before), inLength, sizeOf(after)]));
  return reshape(product, [...before, outLength, ...after]);
}
