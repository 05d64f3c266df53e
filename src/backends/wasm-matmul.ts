import * as tf from "@tensorflow/tfjs-core";

// tfjs 4.22's wasm backend multiplies with XNNPACK one matrix by one matrix, both as they lie in memory. Batches, and
// matrices to be transposed, go through a plain loop that takes 10 to 100 times as long: all that linear layers and
// attention do. Here each matrix of a batch is presented to XNNPACK as a tensor of its own, at its address in the batch.
// Only what must be transposed is copied, one matrix at a time.
//
// XNNPACK packs the right factor into a copy, which tfjs keeps until that tensor is disposed of: a weight that is
// multiplied as it lies in memory takes its bytes twice. What is presented here goes with its copy as soon as the product
// is there, so the weight of a linear layer takes its bytes once.

/** What is used of tfjs's backend. Compiled code knows a tensor by a number; addresses count bytes. */
interface WasmBackend extends tf.KernelBackend {
  dataIdNextNumber: number;
  readonly dataIdMap: { get(id: tf.DataId): { memoryOffset: number } };
  readonly wasm: WasmModule;
  makeOutput(shape: number[], dtype: tf.DataType): tf.TensorInfo;
}

interface WasmModule {
  readonly HEAPU8: Uint8Array;
  readonly tfjs: {
    registerTensor(tensor: number, size: number, address: number): void;
    /** Forgets a tensor, and frees what was packed of it. The memory at its address stays. */
    disposeData(tensor: number): void;
  };
  _malloc(bytes: number): number;
  _free(address: number): void;
  /** A shape is the address of its lengths, in 32 bits each. */
  _BatchMatMul(...call: [...Factor, ...Factor, transposeA: number, transposeB: number, out: number]): void;
}
type Factor = [tensor: number, shape: number, rank: number];

interface Call {
  inputs: { a: tf.TensorInfo; b: tf.TensorInfo };
  attrs: { transposeA: boolean; transposeB: boolean };
  backend: WasmBackend;
}

/** How one product is made of XNNPACK's: left [rows, inner] · right [inner, columns]. */
interface Plan {
  rows: number;
  inner: number;
  columns: number;
  /** What lies, or is wanted, in memory the other way round and has to be transposed. */
  transposed: Places<boolean>;
  /** Whether b is the left factor and a the right one: a b = (bᵀ aᵀ)ᵀ. */
  isSwapped: boolean;
}

interface Places<T> {
  left: T;
  right: T;
  out: T;
}

/** Makes `tf.matMul` fast for every shape on tfjs's wasm backend, before or after it is made. Results stay what they are. */
export function speedUpWasmMatMul(): void {
  const config = tf.getKernel("BatchMatMul", "wasm");
  if (ours.has(config.kernelFunc)) return;
  const kernelFunc: tf.KernelFunc = (call) => batchMatMul(call as unknown as Call, config.kernelFunc);
  ours.add(kernelFunc);
  tf.unregisterKernel("BatchMatMul", "wasm");
  tf.registerKernel({ ...config, kernelFunc });
}

const ours = new WeakSet<tf.KernelFunc>();

function batchMatMul(call: Call, tfjsKernel: tf.KernelFunc): tf.TensorInfo {
  const { a, b } = call.inputs;
  const { transposeA, transposeB } = call.attrs;
  const [batchA, batchB] = [a.shape.slice(0, -2), b.shape.slice(0, -2)];
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(batchA, batchB);
  const inner = a.shape.at(transposeA ? -2 : -1)!;
  const [rows, columns] = [a.shape.at(transposeA ? -1 : -2)!, b.shape.at(transposeB ? -2 : -1)!];
  const shape = [...batch, rows, columns];
  const isEmpty = sizeOf(shape) * inner === 0;
  const tfjsProduct = () => tfjsKernel(call as unknown as Parameters<tf.KernelFunc>[0]) as tf.TensorInfo;
  if (isEmpty || a.dtype !== "float32" || b.dtype !== "float32") return tfjsProduct();

  // A batch times one matrix is one product, of all rows of the batch.
  if (a.shape.length > 2 && sizeOf(batchB) === 1 && !transposeA) {
    const inputs = { a: { ...a, shape: [sizeOf(a.shape) / inner, inner] }, b: { ...b, shape: b.shape.slice(-2) } };
    return { ...batchMatMul({ ...call, inputs }, tfjsKernel), shape };
  }

  const count = sizeOf(batch);
  const isPlain = count === 1 && !transposeA && !transposeB;
  const isTfjsBroadcast = [batchA, batchB].every((own) => sizeOf(own) === 1 || sizeOf(own) === count); // others are wrong
  const plan = fastest(plans(rows, inner, columns, call.attrs));
  const tfjsTime = plainTermTime * rows * inner * columns;
  if (isPlain || (isTfjsBroadcast && tfjsTime < timeOf(plan))) return tfjsProduct();
  return xnnpackProducts(call, plan, shape);
}

/** The two ways to a product. */
function plans(rows: number, inner: number, columns: number, { transposeA, transposeB }: Call["attrs"]): [Plan, Plan] {
  // A vector lies in memory in the same way as its transpose.
  const isMatrix = { left: rows > 1 && inner > 1, right: inner > 1 && columns > 1, out: rows > 1 && columns > 1 };
  const straight = { left: transposeA && isMatrix.left, right: transposeB && isMatrix.right, out: false };
  const swapped = { left: !transposeB && isMatrix.right, right: !transposeA && isMatrix.left, out: isMatrix.out };
  return [
    { rows, inner, columns, transposed: straight, isSwapped: false },
    { rows: columns, inner, columns: rows, transposed: swapped, isSwapped: true },
  ];
}

// Nanoseconds on one core of a server of 2023, with Node 20. Only their ratios matter.
const startTime = 2000;
const termTime = 0.05; // of the sums, in XNNPACK
const plainTermTime = 0.9; // the same in tfjs's plain loop, at its best
const packTime = 5;
const transposeTime = 1.5;

function timeOf({ rows, inner, columns, transposed }: Plan): number {
  const terms = Math.ceil(rows / 4) * 4 * inner * Math.ceil(columns / 8) * 8; // XNNPACK computes tiles of 4 × 8
  const sizes = sizesOf({ rows, inner, columns });
  const moved = Number(transposed.left) * sizes.left + Number(transposed.right) * sizes.right;
  const transposedNumbers = moved + Number(transposed.out) * sizes.out;
  return startTime + termTime * terms + packTime * sizes.right + transposeTime * transposedNumbers;
}

function fastest([first, second]: [Plan, Plan]): Plan {
  return timeOf(first) <= timeOf(second) ? first : second;
}

function xnnpackProducts({ inputs: { a, b }, backend }: Call, plan: Plan, shape: number[]): tf.TensorInfo {
  const batch = shape.slice(0, -2);
  const out = backend.makeOutput(shape, "float32");
  const sizes = sizesOf(plan);
  const [left, right] = plan.isSwapped ? [b, a] : [a, b];
  const address = ({ dataId }: tf.TensorInfo): number => backend.dataIdMap.get(dataId).memoryOffset;
  const [leftStart, rightStart, outStart] = [address(left), address(right), address(out)];
  const [lefts, rights] = [matricesOf(left, batch), matricesOf(right, batch)];
  const work = new Workspace(backend, plan);
  try {
    for (let i = 0; i < lefts.length; i++) {
      work.multiply({
        left: leftStart + 4 * sizes.left * lefts[i]!,
        right: rightStart + 4 * sizes.right * rights[i]!,
        out: outStart + 4 * sizes.out * i,
      });
    }
  } finally {
    work.free();
  }
  return out;
}

/** For each matrix of a result, the matrix of a factor that it is made of: they broadcast as numbers do. */
function matricesOf(factor: tf.TensorInfo, batch: number[]): number[] {
  const missing = batch.length + 2 - factor.shape.length;
  let indices = [0];
  for (const [axis, length] of batch.entries()) {
    const own = factor.shape[axis - missing] ?? 1;
    indices = indices.flatMap((index) => Array.from({ length }, (_, i) => (own === 1 ? index : index * own + i)));
  }
  return indices;
}

/** The memory for products of one plan. */
class Workspace {
  readonly #wasm: WasmModule;
  readonly #plan: Plan;
  readonly #shapes: number;
  readonly #transposed: Places<number>;
  readonly #tensors: Places<number>;

  constructor(backend: WasmBackend, plan: Plan) {
    const { rows, inner, columns, transposed } = plan;
    const sizes = sizesOf(plan);
    this.#wasm = backend.wasm;
    this.#plan = plan;
    this.#tensors = {
      left: backend.dataIdNextNumber++,
      right: backend.dataIdNextNumber++,
      out: backend.dataIdNextNumber++,
    };
    const shapes = [1, rows, inner, 1, inner, columns];
    const left = transposed.left ? sizes.left : 0;
    const right = transposed.right ? sizes.right : 0;
    const out = transposed.out ? sizes.out : 0;
    const numbers = shapes.length + left + right + out;
    this.#shapes = this.#wasm._malloc(4 * numbers) >>> 0; // beyond 2 GB addresses come as negative numbers
    new Int32Array(this.#wasm.HEAPU8.buffer).set(shapes, this.#shapes / 4);
    const start = this.#shapes + 4 * shapes.length;
    this.#transposed = { left: start, right: start + 4 * left, out: start + 4 * (left + right) };
  }

  multiply(addresses: Places<number>): void {
    const { rows, inner, columns, transposed } = this.#plan;
    const { tfjs } = this.#wasm;
    const sizes = sizesOf(this.#plan);
    const places = { ...addresses };
    for (const name of ["left", "right", "out"] as const) if (transposed[name]) places[name] = this.#transposed[name];
    if (transposed.left) this.#transpose(addresses.left, inner, rows, places.left);
    if (transposed.right) this.#transpose(addresses.right, columns, inner, places.right);

    const { left, right, out } = this.#tensors;
    tfjs.registerTensor(left, sizes.left, places.left);
    tfjs.registerTensor(right, sizes.right, places.right);
    tfjs.registerTensor(out, sizes.out, places.out);
    this.#wasm._BatchMatMul(left, this.#shapes, 3, right, this.#shapes + 12, 3, 0, 0, out);
    for (const tensor of [left, right, out]) tfjs.disposeData(tensor);
    if (transposed.out) this.#transpose(places.out, rows, columns, addresses.out);
  }

  /** A matrix [height, width] to its transpose elsewhere, in blocks that fit the processor's cache. */
  #transpose(from: number, height: number, width: number, to: number): void {
    const numbers = new Float32Array(this.#wasm.HEAPU8.buffer); // anew, for the memory may have grown
    const [first, target] = [from / 4, to / 4];
    for (let top = 0; top < height; top += block) {
      const bottom = Math.min(top + block, height);
      for (let left = 0; left < width; left += block) {
        const right = Math.min(left + block, width);
        for (let x = left; x < right; x++) {
          for (let y = top; y < bottom; y++) numbers[target + x * height + y] = numbers[first + y * width + x]!;
        }
      }
    }
  }

  free(): void {
    this.#wasm._free(this.#shapes);
  }
}

const block = 16;

function sizesOf({ rows, inner, columns }: Pick<Plan, "rows" | "inner" | "columns">): Places<number> {
  return { left: rows * inner, right: inner * columns, out: rows * columns };
}

const sizeOf = tf.util.sizeFromShape;
