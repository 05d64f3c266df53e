import { equal, ints, operator, unary } from "../build.ts";
import { type Node, recordingDevice } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import { groupNorm, groupNormGradient } from "./group-norm.ts";
import { onBlocks } from "./lasting-blocks.ts";
import { attentionByRows, nearZero } from "./webgpu.ts";

// Kernels that tfjs does not have: for the operations in src/ops.

/** x · sigmoid(αx) */
const sigmoidProduct =
  (alpha: number): Kernel =>
  ({ x }) =>
    onBlocks(x, (numbers) => unary("QuickGelu", numbers, { domain: "com.microsoft", alpha }));

const layerNorm: Kernel = ({ inputs: { x, gain, bias }, attrs }) =>
  operator("LayerNormalization", [nearZero(x!), gain, bias], x!, { axis: -1n, epsilon: attrs.eps });

/** q [B, N, heads·d], k and v [B, M, heads·d], and a bias of the scores that broadcasts to [B, heads, N, M] */
const attention: Kernel = ({ inputs: { q, k, v, bias }, attrs: { heads } }) => {
  const output = { type: q!.type, shape: [...q!.shape.slice(0, 2), v!.shape[2]!] };
  const scoreBias = bias && forPairs(bias, q!.shape[1]!, k!.shape[1]!);
  if (recordingDevice() === "webgpu") return attentionByRows({ q: q!, k: k!, v: v!, bias: scoreBias }, heads);
  const attributes = { domain: "com.microsoft", num_heads: BigInt(heads) };
  return operator("MultiHeadAttention", [q, k, v, undefined, undefined, scoreBias], output, attributes);
};

/** The operator broadcasts a bias over pictures and heads, not over queries and keys. */
function forPairs(bias: Node, queries: number, keys: number): Node {
  const shape = [...bias.shape.slice(0, 2), queries, keys];
  return equal(bias.shape, shape) ? bias : operator("Expand", [bias, ints(shape)], { type: bias.type, shape });
}

export const fused: Kernels = {
  SiLU: sigmoidProduct(1),
  QuickGELU: sigmoidProduct(1.702),
  GELU: ({ x }) => unary("Gelu", x),
  LayerNorm: layerNorm,
  GroupNorm: groupNorm,
  GroupNormGrad: groupNormGradient,
  ScaledDotProductAttention: attention,
};
