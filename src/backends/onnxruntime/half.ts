import { toHalves } from "../../float16.ts";
import { sizeOf } from "./build.ts";
import { type Call, leaf, type Node, newCall, type OutputSpec } from "./graph.ts";
import { castTo, type ElementType } from "./onnx.ts";

// From recorded operators, whose numbers are all float32, to the same with float16 arithmetic where that is precise enough. The
// rules are those of PyTorch's autocast (pytorch.org/docs/stable/amp.html, "CUDA Ops that can autocast").

/** Products, which a model's time goes into: in float16 whatever goes in. */
const products = new Set(["MatMul", "Gemm", "Conv", "ConvTranspose"]);

/** What moves numbers or changes each by itself: in the widest type that goes in. */
const followers = new Set([
  ...["Identity", "Reshape", "Transpose", "Expand", "Tile", "Slice", "Split", "Concat", "Pad", "Gather", "Resize"],
  ...["Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip", "Where"],
  ...["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "QuickGelu"],
]);

// All others stay in float32, and what they give does, so that a normalization is float32 from its means to its gain:
// - sums of many numbers and what is made of them: ReduceSum, ReduceMean, ReduceProd, CumSum, Softmax, the normalizations
// - small steps in large numbers: Sin and Cos of time steps, Range
// - results of another order of magnitude than the arguments: Exp, Log, Pow, Sqrt, Reciprocal
// - what models use too little for it to pay, and operators that are not known here

/** Numbers that are neither small enough to lose digits, nor too large. */
function fits(value: number): boolean {
  const size = Math.abs(value);
  return value === 0 || !Number.isFinite(value) || (size >= 2 ** -14 && size <= 65504);
}

/** Operators with float16 arithmetic in the place of others. */
export interface Halved {
  readonly calls: readonly Call[];
  /** The node that stands for one of the others: float16 where it is computed so. */
  standIn(node: Node): Node;
}

/** @param calls each after what it needs */
export function inHalf(calls: readonly Call[]): Halved {
  const made = new Map<Node, Node>();
  const otherForms = new Map<Node, Node>();
  const converted: Call[] = [];

  const standIn = (node: Node): Node => {
    const known = made.get(node);
    if (known) return known;
    const isHalf = node.origin.kind === "computed" && node.origin.isHalf;
    const own = isHalf ? leaf("float16", node.shape, node.origin) : node;
    made.set(node, own);
    return own;
  };

  /** A node of floats in a type: each is cast once, weights that are float16 never. */
  const inType = (node: Node, type: ElementType): Node => {
    const own = standIn(node);
    if (own.type === type) return own;
    const other = otherForms.get(own) ?? turned(own, type);
    otherForms.set(own, other);
    return other;
  };

  const turned = (node: Node, type: ElementType): Node => {
    const { origin, shape } = node;
    if (origin.kind === "constant") {
      return leaf(type, shape, { kind: "constant", values: toHalves(origin.values as Float32Array) });
    }
    return added({ type: "Cast", domain: "", attributes: castTo(type), inputs: [node], kernel: "half" }, [
      { type, shape },
    ])[0]!;
  };

  const added = (call: Omit<Call, "outputs">, outputs: readonly OutputSpec[]): readonly Node[] => {
    const made = newCall(call, outputs);
    converted.push(made);
    return made.outputs;
  };

  const isHalf = (node: Node) => standIn(node).type === "float16";

  const typeFor = (call: Call): ElementType => {
    const floats = operandsOf(call);
    const numbers = floats.flatMap(knownNumbers);
    if (floats.length === 0 || !numbers.every(fits)) return "float32";
    if (products.has(call.type)) return "float16";
    const deciding = floats.filter((node) => knownNumbers(node).length === 0);
    return followers.has(call.type) && deciding.length > 0 && deciding.every(isHalf) ? "float16" : "float32";
  };

  for (const call of calls) {
    const [source] = call.inputs;
    if (call.type === "Cast" && source && isHalf(source) && call.outputs[0]!.type === "float32") {
      made.set(call.outputs[0]!, standIn(source)); // a weight, which is widened where that is wanted only
      continue;
    }
    const type = typeFor(call);
    const operands = new Set(type === "float16" ? operandsOf(call) : []);
    const inputs = call.inputs.map(
      (node) => node && (node.type === "float32" ? inType(node, operands.has(node) ? type : "float32") : standIn(node)),
    );
    const specs = call.outputs.map((node) => ({ ...node, type: node.type === "float32" ? type : node.type }));
    const outputs = added({ ...call, inputs }, specs);
    for (const [i, node] of call.outputs.entries()) made.set(node, outputs[i]!);
  }
  return { calls: converted, standIn };
}

/** The floats that an operator computes with, all of one type. The second and third of Resize's say by how much. */
function operandsOf({ type, inputs }: Call): Node[] {
  const operands = type === "Resize" ? inputs.slice(0, 1) : inputs;
  return operands.filter((node) => node?.type === "float32") as Node[];
}

/** The numbers of a constant, or a single one that JavaScript has. As in PyTorch these do not decide about the type. */
function knownNumbers({ origin, shape }: Node): number[] {
  if (origin.kind === "constant") return [...(origin.values as Float32Array)];
  const isSingle = sizeOf(shape) === 1 && "values" in origin && origin.values;
  return isSingle ? [...(origin.values as Float32Array)] : [];
}
