import { unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";

const along = (type: string, x: Node, axis: number) =>
  unary(type, x, { axis: BigInt(axis < 0 ? axis + x.shape.length : axis) });

export const softmax: Kernels = {
  Softmax: ({ x, attrs }) => along("Softmax", x, attrs.dim),
  LogSoftmax: ({ x, attrs }) => along("LogSoftmax", x, attrs.axis),
};
