import type { OnnxNode } from "./onnx.ts";

/**
 * The operators with each bias that is added to a product of two matrices made a part of the product, which saves a pass
 * over its numbers. ONNX Runtime does so for convolutions, but not here.
 */
export function mergeBiases(
  nodes: readonly OnnxNode[],
  outputs: readonly string[],
  shapeOf: (value: string) => readonly number[],
): OnnxNode[] {
  const uses = new Map<string, number>();
  for (const value of [...nodes.flatMap(({ inputs }) => inputs), ...outputs])
    uses.set(value, (uses.get(value) ?? 0) + 1);
  const products = new Map(nodes.filter(isProduct).map((node) => [node.outputs[0]!, node]));

  const merged = new Set<OnnxNode>();
  const result = nodes.map((node) => {
    if (node.type !== "Add" || node.domain !== "") return node;
    const [product, bias] = node.inputs as [string, string];
    const gemm = products.get(product);
    if (!gemm || uses.get(product) !== 1 || shapeOf(bias).length !== 1) return node;
    merged.add(gemm);
    return { ...gemm, name: `${gemm.name}+${node.name}`, inputs: [...gemm.inputs, bias], outputs: node.outputs };
  });
  return result.filter((node) => !merged.has(node));
}

const isProduct = ({ type, inputs }: OnnxNode) => type === "Gemm" && inputs.length === 2;
