import { sizeOf } from "./build.ts";
import type { Call } from "./graph.ts";

/** Floating-point operations that an operator takes, roughly: it is for deciding, not for telling. */
export function workOf({ type, inputs, outputs, attributes }: Call): number {
  const size = outputs.reduce((most, { shape }) => Math.max(most, sizeOf(shape)), 0);
  const shapeOf = (input: number) => inputs[input]!.shape;
  switch (type) {
    case "Conv":
      return 2 * size * (sizeOf(shapeOf(1)) / shapeOf(1)[0]!);
    case "ConvTranspose":
      return 2 * sizeOf(shapeOf(0)) * (sizeOf(shapeOf(1)) / shapeOf(1)[0]!);
    case "MatMul":
    case "FusedMatMul":
      return 2 * size * (shapeOf(0).at(-1) ?? 1);
    case "Gemm":
      return 2 * size * shapeOf(0)[attributes.transA === 1n ? 0 : 1]!;
    case "MultiHeadAttention":
      return 4 * size * shapeOf(1).at(-2)!; // scores and their product with the values
    default:
      return size;
  }
}
