import type { OpenedFile } from "./files.ts";
import type { Attribute, ElementType } from "./onnx.ts";
import type { Device } from "./options.ts";

/** Numbers as JavaScript has them. */
export type Values = Float32Array | Int32Array | Uint8Array | Uint16Array | BigInt64Array;

/** A place of a tensor's bytes in a file. */
export interface FilePlace extends OpenedFile {
  readonly offset: number;
  readonly length: number;
}

/** Where the numbers of a node are. */
export type Origin =
  /** Not computed yet: an output of an operator. */
  | { readonly kind: "recorded"; readonly call: Call }
  /** Part of the structure of the graph: a list of axes, a shape. */
  | { readonly kind: "constant"; readonly values: Values }
  /** In JavaScript, not yet sent to the worker. */
  | { readonly kind: "host"; readonly values: Values }
  /** In a file that ONNX Runtime maps into memory. */
  | { readonly kind: "file"; readonly place: FilePlace }
  /** In the worker, under a number; small ones that came from JavaScript are still here too. Half are kept as float16. */
  | { readonly kind: "computed"; readonly id: number; readonly values?: Values | undefined; readonly isHalf?: boolean }
  /** It was on the way to a result and nobody needed it afterwards. */
  | { readonly kind: "spent" };

/** A tensor in the graph: its type, its shape, and where its numbers come from. */
export interface Node {
  readonly type: ElementType;
  readonly shape: readonly number[];
  origin: Origin;
  /** How many need it: tensors of tfjs, and operators that are not computed yet. */
  holders: number;
}

/** An operator that was recorded. */
export interface Call {
  readonly type: string;
  readonly domain: string;
  readonly attributes: Readonly<Record<string, Attribute>>;
  /** Undefined where an input is left out. */
  readonly inputs: readonly (Node | undefined)[];
  readonly outputs: readonly Node[];
  /** The kernel of tfjs that it was recorded for. */
  readonly kernel: string;
  /** Whether it belongs to a step of training: tfjs was to differentiate what its kernel was called for. */
  readonly isTraining: boolean;
}

/** What an operator gives. */
export interface OutputSpec {
  readonly type: ElementType;
  readonly shape: readonly number[];
}

interface Recorder {
  readonly kernel: string;
  readonly device: Device;
  readonly isTraining: boolean;
}

/** The kernel that is recording, for what, what will compute, and what it recorded. */
let recording: Recorder & { readonly calls: Call[] } = { kernel: "", device: "cpu", isTraining: false, calls: [] };

/** What will compute that which is being recorded. Some forms pay on the processor only. */
export function recordingDevice(): Device {
  return recording.device;
}

/** The operators that a kernel records for a device, in their order, beside what it returns. */
export function recordedBy<T>(
  { kernel, device = "cpu", isTraining = false }: Pick<Recorder, "kernel"> & Partial<Recorder>,
  run: () => T,
): { result: T; calls: Call[] } {
  const outer = recording;
  recording = { kernel, device, isTraining, calls: [] };
  try {
    return { result: run(), calls: recording.calls };
  } catch (error) {
    releaseUnneeded(recording.calls);
    throw error;
  } finally {
    recording = outer;
  }
}

/** Records an operator. Its inputs are held until it is computed or nobody needs it any more. */
export function record(
  type: string,
  inputs: readonly (Node | undefined)[],
  outputs: readonly OutputSpec[],
  { domain = "", ...attributes }: { domain?: string } & Record<string, Attribute> = {},
): Node[] {
  for (const input of inputs) if (input) input.holders++;
  const { kernel, isTraining } = recording;
  const rest = { attributes: attributes as Call["attributes"], inputs, kernel, isTraining };
  const call = newCall({ type, domain, ...rest }, outputs);
  recording.calls.push(call);
  return [...call.outputs];
}

/** An operator with nodes for what it gives. Nothing is held or recorded. */
export function newCall(call: Omit<Call, "outputs">, outputs: readonly OutputSpec[]): Call {
  const made: Call = { ...call, outputs: [] };
  const origin: Origin = { kind: "recorded", call: made };
  (made.outputs as Node[]).push(...outputs.map(({ type, shape }) => leaf(type, shape, origin)));
  return made;
}

export function leaf(type: ElementType, shape: readonly number[], origin: Origin): Node {
  return { type, shape, origin, holders: 0 };
}

/** What nobody needs any more. */
export interface Released {
  /** Numbers of values in the worker. */
  readonly values: number[];
  readonly places: FilePlace[];
  /** Operators that will not be computed. */
  readonly calls: Call[];
}

/** One holder less of each node. What nobody needs any more is let go, and what was recorded only for it. */
export function release(nodes: readonly Node[]): Released {
  const released: Released = { values: [], places: [], calls: [] };
  const stack = [...nodes]; // not recursion: chains of recorded operators have any length
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (--node.holders > 0) continue;
    const { origin } = node;
    if (origin.kind === "computed") released.values.push(origin.id);
    if (origin.kind === "file") released.places.push(origin.place);
    if (origin.kind === "recorded" && isUnneeded(origin.call)) stack.push(...drop(origin.call, released));
  }
  return released;
}

/** Lets go of operators whose outputs nobody took. */
export function releaseUnneeded(calls: readonly Call[]): Released {
  const released: Released = { values: [], places: [], calls: [] };
  for (const call of calls.toReversed()) {
    if (!isUnneeded(call) || call.outputs.some(({ origin }) => origin.kind !== "recorded")) continue;
    const more = release(drop(call, released));
    for (const key of ["values", "places", "calls"] as const) (released[key] as unknown[]).push(...more[key]);
  }
  return released;
}

/** An operator that will not be computed; its inputs come back, which it holds no longer. */
function drop(call: Call, released: Released): Node[] {
  released.calls.push(call);
  for (const output of call.outputs) output.origin = { kind: "spent" };
  return call.inputs.filter((input) => input !== undefined);
}

function isUnneeded({ outputs }: Call): boolean {
  return outputs.every(({ holders }) => holders <= 0);
}
