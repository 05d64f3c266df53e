import * as tf from "@tensorflow/tfjs-core";
import { cast, unary } from "./build.ts";
import { callsFor, compile, isConstant, type Program } from "./compile.ts";
import {
  type Call,
  type FilePlace,
  leaf,
  type Node,
  type Released,
  recordedBy,
  release,
  releaseUnneeded,
  type Values,
} from "./graph.ts";
import type { Kernel } from "./kernel.ts";
import { blocksBehind } from "./kernels/lasting-blocks.ts";
import type { ElementType } from "./onnx.ts";
import { arithmeticOf, checkOptions, type OnnxRuntimeOptions } from "./options.ts";
import type { Counts, Held } from "./protocol.ts";
import { Runtime } from "./runtime.ts";
import { widenedBytes } from "./widening.ts";
import { workOf } from "./work.ts";

export const backendName = "onnxruntime";

/** What a data id of tfjs stands for. Text is only kept. */
interface Entry {
  readonly node: Node | undefined;
  readonly texts: Uint8Array[] | undefined;
  users: number;
}

/**
 * Operators that are recorded before what there is is sent to be computed, whether or not it is asked for. A step that trains a
 * UNet is one graph, of some thousands: cut in two, all that its second half looks back at would be copied out of the first.
 */
const maxPending = 10_000;

/** Floating-point operations, about half a second of them, that are worth a graph of their own in a long computation. */
const stageWork = 100e9;

/** Bytes of weights of half width, widened, that are worth one too: within a graph several may be there at a time. */
const stageWidened = 100e6;

/** What can be mapped, by safetensors' names. */
const mappedTypes = {
  F32: { type: "float32", bytes: 4 },
  F16: { type: "float16", bytes: 2 },
  BF16: { type: "bfloat16", bytes: 2 },
} as const;

/**
 * A backend of tfjs whose kernels do not compute. Each records which operators of ONNX stand for it; when a tensor is read,
 * the graph above it becomes an ONNX model, which ONNX Runtime optimizes and runs as a whole.
 */
export class OnnxRuntimeBackend extends tf.KernelBackend {
  /** What it was made with. */
  readonly options: OnnxRuntimeOptions;
  readonly #runtime: Runtime;
  readonly #entries = new Map<tf.DataId, Entry>();
  /** What is recorded and not computed, but for weights in files and their views, and what each operator costs. */
  readonly #pending = new Map<Call, { work: number; widened: number }>();
  /** Floating-point operations of what is pending. */
  #work = 0;
  /** Bytes that its weights of half width have when they are widened. */
  #widened = 0;
  /** Resolves when the stage before is computed. */
  #stage: Promise<void> = Promise.resolve();

  /** @throws InputError where an option does not exist, or has a value that it can't have */
  constructor(options: OnnxRuntimeOptions = {}) {
    super();
    checkOptions(options);
    this.options = { ...options };
    this.#runtime = new Runtime(options);
  }

  /** Runs a kernel: from tfjs's tensors to nodes and back. */
  call(
    name: string,
    kernel: Kernel,
    { inputs, attrs }: { inputs: tf.NamedTensorInfoMap | tf.TensorInfo[]; attrs?: unknown },
  ): tf.TensorInfo | tf.TensorInfo[] {
    const given = Object.entries(inputs).filter(([, info]) => info !== undefined);
    const nodes = given.map(([key, info]) => [key, this.node((info as tf.TensorInfo).dataId)] as const);
    const list = nodes.map(([, node]) => node);
    const isTraining = tf.engine().state.gradientDepth > 0;
    const { device = "cpu" } = this.options;
    const { result, calls } = recordedBy({ kernel: name, device, isTraining }, () =>
      kernel({ x: list[0]!, inputs: Object.fromEntries(nodes), list, attrs }),
    );
    const tensors = [result].flat().map((node) => {
      const same = list.indexOf(node);
      return same < 0 ? this.tensor(node) : this.#share(given[same]![1] as tf.TensorInfo);
    });
    if (isTraining) this.#runtime.keepKinds();
    for (const call of calls) if (!isConstant(call.outputs[0]!)) this.#expect(call);
    this.#letGo(releaseUnneeded(calls));
    if (this.#pending.size > maxPending) this.#computePending();
    return Array.isArray(result) ? tensors : tensors[0]!;
  }

  /** A tensor of tfjs for a node. */
  tensor(node: Node): tf.TensorInfo {
    const dataId = {};
    node.holders++;
    this.#entries.set(dataId, { node, texts: undefined, users: 1 });
    return { dataId, shape: [...node.shape], dtype: dtypeOf(node.type) };
  }

  /** What a kernel gives back as it got it is the same data, as tfjs expects of a clone. */
  #share({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo {
    this.incRef(dataId);
    return { dataId, shape, dtype };
  }

  /** The node behind a tensor. */
  node(dataId: tf.DataId): Node {
    const { node } = this.#entry(dataId);
    if (!node) throw new Error(`The backend "${backendName}" has no operations on text.`);
    return node;
  }

  override write(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    const dataId = {};
    this.#entries.set(dataId, { ...this.#content(values, shape, dtype), users: 1 });
    return dataId;
  }

  override move(
    dataId: tf.DataId,
    values: tf.backend_util.BackendValues,
    shape: number[],
    dtype: tf.DataType,
    users: number,
  ): void {
    this.#entries.set(dataId, { ...this.#content(values, shape, dtype), users });
  }

  #content(values: tf.backend_util.BackendValues, shape: number[], dtype: tf.DataType): Omit<Entry, "users"> {
    if (dtype === "string") return { node: undefined, texts: values as Uint8Array[] };
    const node = leaf(elementType(dtype), shape, { kind: "host", values: typed(values, dtype) });
    node.holders++;
    return { node, texts: undefined };
  }

  override async read(dataId: tf.DataId): Promise<tf.backend_util.BackendValues> {
    const { node, texts } = this.#entry(dataId);
    if (texts) return texts;
    const here = valuesHere(node!);
    if (here) return here;
    if (isConstant(node!)) return this.#readConstant(node!);
    this.#compute([node!]);
    return (await this.#runtime.read(node!)) as Float32Array;
  }

  /** A weight stays where it is, in its file: what is computed and read is a copy. */
  async #readConstant(node: Node): Promise<tf.backend_util.BackendValues> {
    const { result: copy } = recordedBy({ kernel: "read" }, () => unary("Identity", node));
    copy.holders++;
    try {
      this.#compute([copy], { isRepeated: false });
      return (await this.#runtime.read(copy)) as Float32Array;
    } finally {
      this.#letGo(release([copy]));
    }
  }

  /** What JavaScript has of a tensor: text, and numbers that it made and that are small or not yet needed elsewhere. */
  numbersHere(dataId: tf.DataId): tf.backend_util.BackendValues | undefined {
    const { node, texts } = this.#entry(dataId);
    return texts ?? valuesHere(node!);
  }

  override readSync(dataId: tf.DataId): tf.backend_util.BackendValues {
    const here = this.numbersHere(dataId);
    if (here) return here;
    throw new Error(
      `The backend "${backendName}" computes in another thread, so dataSync(), arraySync() and print() can't wait for it: ` +
        "use `await tensor.data()` or `await tensor.array()`.",
    );
  }

  /** Computes some tensors, and resolves when they are there. @throws Error where one can't be computed */
  async flush(tensors: readonly tf.TensorInfo[]): Promise<void> {
    await this.#settle(tensors.map(({ dataId }) => this.node(dataId)));
  }

  async #settle(wanted: readonly Node[]): Promise<void> {
    const nodes = wanted.filter((node) => !isConstant(node));
    this.#compute(nodes);
    await this.#runtime.settle(nodes.flatMap(({ origin }) => (origin.kind === "computed" ? [origin.id] : [])));
  }

  /**
   * Between two stages of a long computation: starts computing what it has so far, where that is worth it, and resolves
   * when what was started before is there. So the next stage is recorded meanwhile, and nobody is far ahead.
   * @param tensors what the next stages need
   */
  async endStage(tensors: readonly tf.TensorInfo[]): Promise<void> {
    const widened = arithmeticOf(this.options) === "float32" ? this.#widened : 0; // in float16 nothing is
    if (this.#work < stageWork && widened < stageWidened) return;
    const before = this.#stage;
    const nodes = tensors.map(({ dataId }) => this.node(dataId));
    this.#stage = this.#settle(nodes.map((node) => blocksBehind(node) ?? node)); // what goes on in blocks is not turned round
    this.#stage.catch(() => {}); // who reads the tensors hears of it
    await before.catch(() => {});
  }

  /**
   * A float32 tensor whose numbers stay in a file, little-endian, from where ONNX Runtime maps them. The file must stay as
   * it was when it had this size and time of modification; undefined for a dtype that can't be mapped.
   */
  mapTensor(
    { path, offset, fileSize, modified }: Omit<FilePlace, "length">,
    { dtype, shape }: { dtype: string; shape: readonly number[] },
  ): tf.TensorInfo | undefined {
    if (!Object.hasOwn(mappedTypes, dtype) || (this.keepsHalves && dtype !== "F16")) return undefined;
    const { type, bytes } = mappedTypes[dtype as keyof typeof mappedTypes];
    const place = { path, offset, length: bytes * tf.util.sizeFromShape([...shape]), fileSize, modified };
    const { result } = recordedBy({ kernel: "map" }, () => cast(leaf(type, shape, { kind: "file", place }), "float32"));
    return this.tensor(result);
  }

  /** Whether weights are to be given as `halfTensor`. */
  get keepsHalves(): boolean {
    return this.options.precision === "float16";
  }

  /** A float32 tensor that is kept as float16 and widened where it is used. The bits of its numbers are taken over. */
  halfTensor(bits: Uint16Array<ArrayBuffer>, shape: readonly number[]): tf.TensorInfo {
    const { result } = recordedBy({ kernel: "half" }, () =>
      cast(leaf("float16", shape, { kind: "host", values: bits }), "float32"),
    );
    return this.tensor(result);
  }

  /** What the worker keeps, for whoever looks for a leak. */
  async counts(): Promise<Counts & Held> {
    return this.#runtime.counts();
  }

  #computePending(): void {
    const outputs = [...this.#pending.keys()].flatMap((call) => call.outputs);
    this.#run(this.#compiled(outputs, new Set()), { isRepeated: true });
  }

  #compute(nodes: readonly Node[], { isRepeated } = { isRepeated: true }): void {
    const recorded = nodes.filter(({ origin }) => origin.kind === "recorded");
    if (recorded.length > 0) this.#run(this.#compiled(recorded, new Set(recorded)), { isRepeated });
  }

  #compiled(nodes: readonly Node[], wanted: ReadonlySet<Node>): Program {
    return compile(callsFor(nodes), wanted, arithmeticOf(this.options));
  }

  #run(program: Program, { isRepeated }: { isRepeated: boolean }): void {
    this.#runtime.run(program, { isRepeated });
    const computed = program.calls.filter(({ outputs }) => !outputs.every(isConstant)); // those are recorded still, for other graphs
    for (const call of computed) {
      this.#done(call);
      for (const output of call.outputs) if (output.origin.kind === "recorded") output.origin = { kind: "spent" };
    }
    this.#letGo(release(computed.flatMap(({ inputs }) => inputs.filter((input) => input !== undefined))));
  }

  #expect(call: Call): void {
    const cost = { work: workOf(call), widened: widenedBytes(call) };
    this.#pending.set(call, cost);
    this.#work += cost.work;
    this.#widened += cost.widened;
  }

  #done(call: Call): void {
    const cost = this.#pending.get(call);
    if (!cost) return;
    this.#pending.delete(call);
    this.#work -= cost.work;
    this.#widened -= cost.widened;
    if (this.#pending.size === 0) this.#work = 0; // and not what rounding left
  }

  #letGo({ values, places, calls }: Released): void {
    for (const call of calls) this.#done(call);
    this.#runtime.free(values);
    this.#runtime.forget(places);
  }

  override incRef(dataId: tf.DataId): void {
    this.#entry(dataId).users++;
  }

  override refCount(dataId: tf.DataId): number {
    return this.#entries.get(dataId)?.users ?? 0;
  }

  override disposeData(dataId: tf.DataId, force = false): boolean {
    const entry = this.#entries.get(dataId);
    if (!entry) return true;
    entry.users--;
    if (!force && entry.users > 0) return false;
    this.#entries.delete(dataId);
    if (entry.node) this.#letGo(release([entry.node]));
    return true;
  }

  override numDataIds(): number {
    return this.#entries.size;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return true;
  }

  /** How long it takes to record and compute what a function asks for, with what was recorded before. */
  override async time(run: () => void): Promise<tf.BackendTimingInfo> {
    const begin = performance.now();
    run();
    if (this.#pending.size > 0) this.#computePending();
    await this.#runtime.settle([]);
    return { kernelMs: performance.now() - begin };
  }

  override dispose(): void {
    void this.#runtime.end();
  }

  #entry(dataId: tf.DataId): Entry {
    const entry = this.#entries.get(dataId);
    if (!entry) throw new Error(`This tensor is not one of the backend "${backendName}".`);
    return entry;
  }
}

function valuesHere({ origin }: Node): tf.backend_util.BackendValues | undefined {
  return "values" in origin ? (origin.values as Float32Array | undefined) : undefined;
}

function elementType(dtype: tf.DataType): ElementType {
  if (dtype === "float32" || dtype === "int32" || dtype === "bool") return dtype;
  throw new Error(`The backend "${backendName}" has no numbers of type ${dtype}: only float32, int32 and bool.`);
}

function dtypeOf(type: ElementType): tf.DataType {
  if (type === "float32" || type === "int32" || type === "bool") return type;
  throw new Error(`A kernel gave ${type}, which tfjs does not have.`);
}

function typed(values: tf.backend_util.BackendValues, dtype: tf.DataType): Values {
  if (dtype === "float32")
    return values instanceof Float32Array ? values : Float32Array.from(values as Iterable<number>);
  if (dtype === "int32") return values instanceof Int32Array ? values : Int32Array.from(values as Iterable<number>);
  return values instanceof Uint8Array ? values : Uint8Array.from(values as Iterable<number>);
}
