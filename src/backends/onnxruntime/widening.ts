import { sizeOf } from "./build.ts";
import { isConstant } from "./compile.ts";
import type { Call, Node } from "./graph.ts";

/** Bytes that an operator's weights of half width have when they are widened for it. */
export function widenedBytes({ inputs }: Call): number {
  return inputs.reduce((sum, input) => sum + (input && isHalf(input) ? 4 * sizeOf(input.shape) : 0), 0);
}

/** Whether it is a weight of half width, or a view of one. */
function isHalf(node: Node): boolean {
  let source = node;
  while (source.origin.kind === "recorded" && isConstant(source)) source = source.origin.call.inputs[0]!;
  return source.type === "float16" || source.type === "bfloat16";
}
