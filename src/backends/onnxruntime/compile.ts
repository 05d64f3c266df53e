import { createHash } from "node:crypto";
import { dirname, relative } from "node:path";
import type { Call, FilePlace, Node } from "./graph.ts";
import { type Halved, inHalf } from "./half.ts";
import { type Attribute, encodeModel, type OnnxNode, type OnnxTensor, type OnnxValue, type Opsets } from "./onnx.ts";
import type { Precision } from "./options.ts";
import { mergeBiases, splitProducts } from "./products.ts";
import { workOf } from "./work.ts";

/** Operator sets that kernels may use. `com.microsoft` is ONNX Runtime's own. */
const opsets: Opsets = { "": 21, "com.microsoft": 1, "com.microsoft.nchwc": 1 };

/** A graph that can be run: the nodes that go in and come out, and what its structure is called. */
export interface Program {
  /** Equal for graphs that are the same but for the numbers that go in. */
  readonly key: string;
  readonly inputs: readonly Node[];
  readonly outputs: readonly Node[];
  /** Of the outputs those that come out as float16. */
  readonly halves: ReadonlySet<Node>;
  /** The operators, each after what it needs. */
  readonly calls: readonly Call[];
  /** The weights in files that it reads. */
  readonly places: readonly FilePlace[];
  /** The folder below which these files lie. */
  readonly folder: string | undefined;
  /** Whether some of these weights are float16 or bfloat16, and turned into what is wanted before they are used. */
  readonly hasHalf: boolean;
  /** Floating-point operations, roughly. */
  readonly work: number;
  /** Whether it is a step of training, or a part of one. */
  readonly isTraining: boolean;
  /** Encodes it as an ONNX model. Only for a structure that is new. */
  encode(): Uint8Array;
}

/** What has to be computed for some nodes, inputs before outputs. */
export function callsFor(wanted: Iterable<Node>): Call[] {
  const order: Call[] = [];
  const seen = new Set<Call>();
  const stack: { call: Call; isExpanded: boolean }[] = []; // not recursion: chains have any length
  const push = (node: Node | undefined) => {
    if (node?.origin.kind === "recorded" && !seen.has(node.origin.call)) {
      stack.push({ call: node.origin.call, isExpanded: false });
    }
  };
  for (const node of wanted) push(node);
  for (let top = stack.pop(); top; top = stack.pop()) {
    if (top.isExpanded) order.push(top.call);
    else if (!seen.has(top.call)) {
      seen.add(top.call);
      stack.push({ call: top.call, isExpanded: true });
      for (const input of top.call.inputs) push(input);
    }
  }
  return order;
}

/** Weights in files and of half width, and their transposes: whatever needs them computes them from those, they are never results. */
export function isConstant(node: Node): boolean {
  for (let current = node; ; ) {
    const { origin, type } = current;
    if (origin.kind === "file" || (origin.kind !== "recorded" && type === "float16")) return true;
    if (origin.kind !== "recorded" || !viewOperators.has(origin.call.type)) return false;
    current = origin.call.inputs[0]!;
  }
}
const viewOperators = new Set(["Transpose", "Reshape", "Cast"]);

/**
 * The program that computes some nodes, and on the way every other one that somebody will need later, so that nothing is
 * computed twice.
 */
export function compile(calls: readonly Call[], wanted: ReadonlySet<Node>, arithmetic: Precision): Program {
  const names = new Map<Node, string>();
  const inputs: Node[] = [];
  const constants: Node[] = [];
  const files: Node[] = [];
  const structure: string[] = [];

  const nameOf = (node: Node): string => {
    const known = names.get(node);
    if (known !== undefined) return known;
    const { kind } = node.origin;
    if (kind === "spent") throw new Error("A tensor is needed that was let go: a kernel or the backend counts wrong.");
    const list = kind === "constant" ? constants : kind === "file" ? files : inputs;
    const name = `${kind === "constant" ? "c" : kind === "file" ? "w" : "i"}${list.length}`;
    list.push(node);
    names.set(node, name);
    structure.push(`${name}:${describe(node)}`);
    return name;
  };

  const computed = inArithmetic(weightsFirst(calls), arithmetic);
  const nodes = computed.calls.map((call, index): OnnxNode => {
    const { type, domain, attributes, kernel } = call;
    const inputNames = call.inputs.map((node) => (node ? nameOf(node) : ""));
    const outputNames = call.outputs.map((node, i) => {
      const name = `n${index}${i === 0 ? "" : `_${i}`}`;
      names.set(node, name);
      return name;
    });
    structure.push(`${domain}.${type}(${inputNames})${attributesKey(attributes)}${outputNames.length}`);
    return { name: `${kernel}/${index}`, type, domain, attributes, inputs: inputNames, outputs: outputNames };
  });

  const uses = usesIn(calls);
  const outputs = calls
    .flatMap((call) => call.outputs)
    .filter((node) => wanted.has(node) || (node.holders > (uses.get(node) ?? 0) && !isConstant(node)));
  const results = outputs.map((node) => computed.standIn(node));
  structure.push(`→${results.map((node) => names.get(node))}`);

  const places = files.map(placeOf);
  const folder = files.length > 0 ? commonFolder(places.map(({ path }) => path)) : undefined;
  const value = (node: Node): OnnxValue => ({ name: names.get(node)!, type: node.type, shape: node.shape });
  const initializer = (node: Node): OnnxTensor => ({
    ...value(node),
    shape: node.shape,
    data: dataOf(node, folder),
  });
  return {
    key: createHash("sha256").update(structure.join("\n")).digest("base64"),
    inputs,
    outputs,
    halves: new Set(outputs.filter((_, i) => results[i]!.type === "float16")),
    calls,
    places,
    folder,
    hasHalf: files.some(({ type }) => type !== "float32") || inputs.some(({ type }) => type === "float16"),
    work: calls.reduce((sum, call) => sum + workOf(call), 0),
    isTraining: calls.some((call) => call.isTraining),
    encode: () => {
      const graph = {
        nodes,
        initializers: [...constants, ...files].map(initializer),
        inputs: inputs.map(value),
        outputs: results.map(value),
      };
      const shapeOf = shapesOf(names);
      return encodeModel(splitProducts(mergeBiases(graph, shapeOf), shapeOf), opsets);
    },
  };
}

function inArithmetic(calls: readonly Call[], arithmetic: Precision): Halved {
  return arithmetic === "float16" ? inHalf(calls) : { calls, standIn: (node) => node };
}

/** How many operators take each node. */
function usesIn(calls: readonly Call[]): Map<Node, number> {
  const uses = new Map<Node, number>();
  for (const { inputs } of calls) for (const node of inputs) if (node) uses.set(node, (uses.get(node) ?? 0) + 1);
  return uses;
}

/**
 * Of two inputs ONNX Runtime computes first the one whose operator comes later in the list. So a weight that has to be widened is
 * widened just before it is used, and freed after that; it would be all weights, before anything else.
 */
function weightsFirst(calls: readonly Call[]): Call[] {
  const isWeight = ({ outputs }: Call) => outputs.every(isConstant);
  return [...calls.filter(isWeight), ...calls.filter((call) => !isWeight(call))];
}

function shapesOf(names: ReadonlyMap<Node, string>): (name: string) => readonly number[] {
  const shapes = new Map([...names].map(([{ shape }, name]) => [name, shape]));
  return (name) => shapes.get(name)!;
}

/** What of a leaf belongs to the structure: of an input its type and shape, of a constant its numbers too. */
function describe({ origin, type, shape }: Node): string {
  if (origin.kind === "constant") return `${type}[${shape}]=${origin.values}`;
  if (origin.kind === "file") return `${type}[${shape}]@${placeKey(origin.place)}`;
  return `${type}[${shape}]`;
}

/** Equal for equal places in files that did not change. */
export function placeKey({ path, offset, modified }: FilePlace): string {
  return `${offset}:${modified}:${path}`;
}

function attributesKey(attributes: Readonly<Record<string, Attribute>>): string {
  return Object.entries(attributes)
    .map(
      ([name, value]) =>
        `{${name}=${typeof value === "object" && "nodes" in value ? JSON.stringify(value, plain) : value}}`,
    )
    .join("");
}

function plain(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? `${value}` : value;
}

function dataOf({ origin }: Node, folder: string | undefined): OnnxTensor["data"] {
  if (origin.kind === "constant") {
    const { buffer, byteOffset, byteLength } = origin.values;
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
  }
  if (origin.kind !== "file") throw new Error("Only constants and files are part of a program.");
  const { path, offset, length } = origin.place;
  return { file: relative(folder!, path), offset, length };
}

function placeOf({ origin }: Node): FilePlace {
  if (origin.kind !== "file") throw new Error("This node has no file.");
  return origin.place;
}

/** The deepest folder that holds all files. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!);
  for (const path of new Set(paths)) {
    while (relative(folder, path).startsWith("..")) folder = dirname(folder);
  }
  return folder;
}
