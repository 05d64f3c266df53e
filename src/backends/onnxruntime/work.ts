import { sizeOf } from "./build.ts";
import type { Call } from "./graph.ts";

/** Floating-point operations that an operator takes, roughly: it is for deciding, not for telling. */
export function workOf({ type, inputs, outputs, attributes }: Call): number {
  const size = Math.max(...outputs.map(({ shape }) => sizeOf(shape)));
  const shapes = inputs.map((input) => input?.shape ?? []);
  switch (type) {
    case "Conv":
      return 2 * size * (sizeOf(shapes[1]!) / shapes[1]![0]!);
    case "ConvTranspose":
      return 2 * sizeOf(shapes[0]!) * (sizeOf(shapes[1]!) / shapes[1]![0]!);
    case "MatMul":
    case "FusedMatMul":
      return 2 * size * (shapes[0]!.at(-1) ?? 1);
    case "Gemm":
      return 2 * size * shapes[0]![attributes.transA === 1n ? 0 : 1]!;
    case "MultiHeadAttention":
      return 4 * size * shapes[1]!.at(-2)!; // scores and their product with the values
    default:
      return size;
  }
}
