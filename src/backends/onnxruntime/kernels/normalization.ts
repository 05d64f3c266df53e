import { binary, operator, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { linearMap } from "./linear-map.ts";
import { channelsFirst, channelsLast } from "./window.ts";

/** For each channel, the sum over those that are at most `radius` channels from it. */
function neighbourSum(x: Node, radius: number): Node {
  const channels = x.shape.at(-1)!;
  const isNear = (to: number, from: number) => (Math.abs(to - from) <= radius ? 1 : 0);
  return linearMap(x, x.shape.length - 1, channels, channels, isNear);
}

export const normalization: Kernels = {
  FusedBatchNorm: ({ inputs: { x, scale, offset, mean, variance }, attrs }) => {
    const deviation = unary("Sqrt", binary("Add", variance!, scalar(attrs.varianceEpsilon ?? 0.001, "float32")));
    const centred = binary("Sub", x!, mean!);
    const scaled = scale ? binary("Mul", centred, binary("Div", scale, deviation)) : binary("Div", centred, deviation);
    return offset ? binary("Add", scaled, offset) : scaled;
  },
  LRN: ({ x, attrs: { depthRadius, bias, alpha, beta } }) => {
    const size = 2 * depthRadius + 1;
    const input = channelsFirst(x);
    return channelsLast(operator("LRN", [input], input, { size: BigInt(size), alpha: alpha * size, beta, bias }));
  },
  /** y = x n⁻ᵝ with n = bias + alpha Σ x², the sum over near channels. */
  LRNGrad: ({ inputs: { x, y, dy }, attrs: { depthRadius, bias, alpha, beta } }) => {
    const sums = neighbourSum(binary("Mul", x!, x!), depthRadius);
    const norm = binary("Add", binary("Mul", sums, scalar(alpha, "float32")), scalar(bias, "float32"));
    const direct = binary("Mul", dy!, binary("Pow", norm, scalar(-beta, "float32")));
    const shared = neighbourSum(binary("Div", binary("Mul", dy!, y!), norm), depthRadius);
    return binary("Sub", direct, binary("Mul", binary("Mul", x!, shared), scalar(2 * alpha * beta, "float32")));
  },
};
