import type { OnnxGraph, OnnxNode, OnnxTensor } from "./onnx.ts";

// Passes over the numbers of a product of two matrices that ONNX Runtime does not spare by itself.

type ShapeOf = (value: string) => readonly number[];

/** Each bias that is added to a product becomes a part of the product. ONNX Runtime does so for convolutions only. */
export function mergeBiases(graph: OnnxGraph, shapeOf: ShapeOf): OnnxGraph {
  const { byOutput, isUsedOnce } = linksOf(graph);
  const merged = new Set<OnnxNode>();
  const nodes = graph.nodes.map((node) => {
    if (node.type !== "Add") return node;
    const [sum, bias] = node.inputs as [string, string];
    const product = byOutput.get(sum);
    const isMerged =
      product?.type === "Gemm" && product.inputs.length === 2 && isUsedOnce(sum) && shapeOf(bias).length === 1;
    if (!isMerged) return node;
    merged.add(product);
    return {
      ...product,
      name: `${product.name}+${node.name}`,
      inputs: [...product.inputs, bias],
      outputs: node.outputs,
    };
  });
  return { ...graph, nodes: nodes.filter((node) => !merged.has(node)) };
}

/**
 * Where a product with a weight in a file is split along its last axis, as values and gates are, each part becomes a product
 * with its rows of the weight: they lie in the file one after the other, and nothing is copied.
 */
export function splitProducts(graph: OnnxGraph, shapeOf: ShapeOf): OnnxGraph {
  const { byOutput, isUsedOnce } = linksOf(graph);
  const constants = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const added: OnnxTensor[] = [];
  const replaced = new Set<OnnxNode>();

  const nodes = graph.nodes.flatMap((split) => {
    if (split.type !== "Split") return split;
    const reshape = byOutput.get(split.inputs[0]!);
    const product = reshape?.type === "Reshape" ? byOutput.get(reshape.inputs[0]!) : undefined;
    if (!reshape || product?.type !== "Gemm" || product.attributes.transB !== 1n) return split;
    if (![split.inputs[0]!, reshape.inputs[0]!].every(isUsedOnce)) return split;
    if (Number(split.attributes.axis) !== shapeOf(split.inputs[0]!).length - 1) return split;
    const weights = product.inputs.slice(1).map((name) => constants.get(name));
    if (!weights.every((tensor) => tensor?.type === "float32" && "file" in tensor.data)) return split;

    replaced.add(reshape).add(product);
    let start = 0;
    return split.outputs.flatMap((output, index): OnnxNode[] => {
      const shape = shapeOf(output);
      const count = shape.at(-1)!;
      const parts = weights.map((tensor) => rows(tensor!, start, count, `${output}.${tensor!.name}`));
      const target = shapeTensor(`${output}.shape`, shape);
      added.push(...parts, target);
      start += count;
      const inputs = [product.inputs[0]!, ...parts.map(({ name }) => name)];
      return [
        { ...product, name: `${product.name}.${index}`, inputs, outputs: [`${output}.rows`] },
        { ...reshape, name: `${reshape.name}.${index}`, inputs: [`${output}.rows`, target.name], outputs: [output] },
      ];
    });
  });

  const kept = nodes.filter((node) => !replaced.has(node));
  const needed = new Set(kept.flatMap(({ inputs }) => inputs));
  return {
    ...graph,
    nodes: kept,
    initializers: [...graph.initializers, ...added].filter(({ name }) => needed.has(name)),
  };
}

/** Some rows of a tensor in a file, or numbers of a list of numbers. */
function rows({ type, shape, data }: OnnxTensor, start: number, count: number, name: string): OnnxTensor {
  const { file, offset, length } = data as Exclude<OnnxTensor["data"], Uint8Array>;
  const row = length / shape[0]!;
  return {
    name,
    type,
    shape: [count, ...shape.slice(1)],
    data: { file, offset: offset + start * row, length: count * row },
  };
}

function shapeTensor(name: string, shape: readonly number[]): OnnxTensor {
  const values = BigInt64Array.from(shape, BigInt);
  return { name, type: "int64", shape: [shape.length], data: new Uint8Array(values.buffer) };
}

/** Which operator gives a value, and whether only one takes it. */
function linksOf({ nodes, outputs }: OnnxGraph) {
  const byOutput = new Map(nodes.flatMap((node) => node.outputs.map((name) => [name, node] as const)));
  const uses = new Map<string, number>();
  for (const name of [...nodes.flatMap(({ inputs }) => inputs), ...outputs.map((output) => output.name)]) {
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  return { byOutput, isUsedOnce: (name: string) => uses.get(name) === 1 };
}
