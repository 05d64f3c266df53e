import * as tf from "@tensorflow/tfjs-core";
import { broadcast, operator, transpose } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { biasAndActivation } from "./activation.ts";

export interface Transposed {
  transposeA?: boolean;
  transposeB?: boolean;
}

/** The product of two matrices, or of each of two batches of matrices, which broadcast. */
export function matMul(a: Node, b: Node, { transposeA = false, transposeB = false }: Transposed = {}): Node {
  const [across, down] = [a.shape.at(transposeA ? -2 : -1), b.shape.at(transposeB ? -1 : -2)];
  if (across === undefined || across !== down) {
    const words = (transposed: boolean) => (transposed ? " transposed" : "");
    throw new Error(
      `Matrices of shapes [${a.shape}]${words(transposeA)} and [${b.shape}]${words(transposeB)} can't be multiplied.`,
    );
  }
  const inner = [a.shape.at(transposeA ? -2 : -1), b.shape.at(transposeB ? -1 : -2)];
  tf.util.assert(
    inner[0] === inner[1],
    () => `Matrices of [${a.shape}]${transposeA ? "ᵀ" : ""} and [${b.shape}]${transposeB ? "ᵀ" : ""} have no product.`,
  );
  if (a.shape.length === 2 && b.shape.length === 2 && a.type === "float32") {
    const shape = [a.shape[transposeA ? 1 : 0]!, b.shape[transposeB ? 0 : 1]!];
    return operator(
      "Gemm",
      [a, b],
      { type: a.type, shape },
      { transA: BigInt(transposeA), transB: BigInt(transposeB) },
    );
  }
  // ONNX Runtime merges these transposes with the product.
  const [left, right] = [transposeA ? turned(a) : a, transposeB ? turned(b) : b];
  const batch = broadcast(left.shape.slice(0, -2), right.shape.slice(0, -2));
  return operator("MatMul", [left, right], {
    type: a.type,
    shape: [...batch, left.shape.at(-2)!, right.shape.at(-1)!],
  });
}

function turned(x: Node): Node {
  const rank = x.shape.length;
  return transpose(x, [...Array(rank - 2).keys(), rank - 1, rank - 2]);
}

export const matmul: Kernels = {
  BatchMatMul: ({ inputs: { a, b }, attrs }) => matMul(a!, b!, attrs),
  _FusedMatMul: (call) => biasAndActivation(matMul(call.inputs.a!, call.inputs.b!, call.attrs), call),
};
