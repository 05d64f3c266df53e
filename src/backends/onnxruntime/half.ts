import { toHalves } from "../../float16.ts";
import { callOf, sizeOf } from "./build.ts";
import { type Call, leaf, type Node, newCall } from "./graph.ts";
import { canBeShort, inShortSums } from "./half-sums.ts";
import { castTo, type ElementType } from "./onnx.ts";

// From recorded operators, whose numbers are all float32, to the same with float16 arithmetic where that is precise enough. The
// rules are those of PyTorch's autocast (pytorch.org/docs/stable/amp.html, "CUDA Ops that can autocast").

/** Products, which a model's time goes into: in float16 whatever goes in. */
const products = new Set(["MatMul", "Gemm", "Conv"]);

/** What moves numbers or changes each by itself: in the widest type that goes in. */
const followers = new Set([
  ...["Identity", "Reshape", "Transpose", "Expand", "Tile", "Slice", "Split", "Concat", "Pad", "Gather", "Resize"],
  ...["Add", "Sub", "Mul", "Div", "Neg", "Abs", "Min", "Max", "Clip", "Where"],
  ...["Relu", "LeakyRelu", "Sigmoid", "Tanh", "Gelu", "QuickGelu"],
]);

// All others stay in float32, and so does what follows them, so that a normalization is float32 from its means to its gain:
// - sums of many numbers and what is made of them: ReduceSum, ReduceMean, CumSum, Softmax, all normalizations
// - small steps in large numbers: Sin and Cos of time steps, Range
// - results of another order of magnitude than the arguments: Exp, Log, Pow, Sqrt, Reciprocal
// - what models use too little for it to pay, and what is not known here

/** Operators in the place of others, some of them in float16. */
export interface Halved {
  readonly calls: readonly Call[];
  /** The node that stands for one of the others: float16 where it is computed so. */
  standIn(node: Node): Node;
}

/** @param calls each after what it needs */
export function inHalf(calls: readonly Call[]): Halved {
  const halving = new Halving();
  for (const call of calls) halving.add(call);
  return halving;
}

class Halving implements Halved {
  readonly calls: Call[] = [];
  readonly #standIns = new Map<Node, Node>();
  /** Of stand-ins that are wanted in the other type, too, what they were cast to. */
  readonly #casts = new Map<Node, Node>();

  standIn(node: Node): Node {
    const known = this.#standIns.get(node);
    if (known) return known;
    const { shape, origin } = node;
    const own = origin.kind === "computed" && origin.isHalf ? leaf("float16", shape, origin) : node;
    this.#standIns.set(node, own);
    return own;
  }

  add(call: Call): void {
    const [source] = call.inputs;
    const [output] = call.outputs as [Node];
    if (call.type === "Cast" && source?.type === "float16" && output.type === "float32") {
      this.#standIns.set(output, source); // a weight, which is widened only where that is wanted
      return;
    }
    const type = this.#typeFor(call);
    const operands = new Set(operandsOf(call));
    const inputs = call.inputs.map((node) => {
      if (node?.type !== "float32") return node && this.standIn(node);
      return this.#inType(node, operands.has(node) ? type : "float32");
    });
    const specs = call.outputs.map((node) => ({ ...node, type: node.type === "float32" ? type : node.type }));
    const isLong = type === "float16" && products.has(call.type);
    const made = isLong ? inShortSums({ ...call, inputs }, specs[0]!) : [newCall({ ...call, inputs }, specs)];
    this.calls.push(...made);
    for (const [i, node] of call.outputs.entries()) this.#standIns.set(node, made.at(-1)!.outputs[i]!);
  }

  #typeFor(call: Call): ElementType {
    const floats = operandsOf(call);
    if (floats.length === 0 || !floats.flatMap(knownNumbers).every(fits)) return "float32";
    if (products.has(call.type)) return isMean(call) || !canBeShort(call) ? "float32" : "float16";
    const deciding = floats.filter((node) => knownNumbers(node).length === 0);
    const areHalf = deciding.length > 0 && deciding.every((node) => this.standIn(node).type === "float16");
    return followers.has(call.type) && areHalf ? "float16" : "float32";
  }

  /** A node in a type: each is cast once, and weights that are float16 never to that. */
  #inType(node: Node, type: ElementType): Node {
    const own = this.standIn(node);
    if (own.type === type) return own;
    const other = this.#casts.get(own) ?? this.#cast(own, type);
    this.#casts.set(own, other);
    return other;
  }

  #cast(node: Node, type: ElementType): Node {
    const { shape, origin } = node;
    if (origin.kind === "constant") {
      return leaf(type, shape, { kind: "constant", values: toHalves(origin.values as Float32Array) });
    }
    const call = {
      type: "Cast",
      domain: "",
      attributes: castTo(type),
      inputs: [node],
      kernel: "half",
      isTraining: false,
    };
    this.calls.push(newCall(call, [{ type, shape }]));
    return this.calls.at(-1)!.outputs[0]!;
  }
}

/** The floats that an operator computes with, all of one type. The second and third of Resize's say by how much. */
function operandsOf({ type, inputs }: Call): Node[] {
  const operands = type === "Resize" ? inputs.slice(0, 1) : inputs;
  return operands.filter((node) => node?.type === "float32") as Node[];
}

/** Whether it weighs with a softmax: thousands of weights that are all as small as the last digits of their sum. */
function isMean({ inputs }: Call): boolean {
  return inputs.some((node) => node && callOf(node)?.type === "Softmax");
}

/** The numbers of a constant, or a single one that JavaScript has. As in PyTorch these do not decide about the type. */
function knownNumbers({ origin, shape }: Node): number[] {
  const isKnown = origin.kind === "constant" || (sizeOf(shape) === 1 && "values" in origin && origin.values);
  return isKnown ? [...(origin.values as Float32Array)] : [];
}

/** Whether a number is neither so small that it would lose digits, nor too large. */
function fits(value: number): boolean {
  const size = Math.abs(value);
  return value === 0 || !Number.isFinite(value) || (size >= 2 ** -14 && size <= 65504);
}
