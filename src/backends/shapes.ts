import * as tf from "@tensorflow/tfjs-core";

type Shape = readonly number[];
type Info = tf.TensorInfo;
type Inputs = Record<string, Info>;
// biome-ignore lint/suspicious/noExplicitAny: what tfjs passes to a kernel differs from kernel to kernel
type Attributes = any;

/** The shape and type of a kernel's result, and the floating-point operations that it stands for. */
interface Result {
  shape: Shape;
  dtype: tf.DataType;
  flops?: number;
}
type Kernel = (inputs: Inputs, attributes: Attributes) => Result | Result[];

export interface ShapeRun {
  /** A tensor that has a shape and a type, and no data. */
  tensor(shape: Shape, dtype?: tf.DataType): tf.Tensor;
  /** Floating-point operations so far: two for each multiply–add of convolutions and matrix products, nothing else. */
  flops(): number;
  /** Bytes of all tensors that are alive, and the most that ever were at a time. */
  bytes(): { live: number; peak: number };
}

const backendName = "shapes";

/**
 * Runs a computation on shapes alone, like PyTorch's device "meta": every tensor in it has a shape and a type, and no data,
 * so the largest model runs in milliseconds and takes no memory. Whatever backend was active is active again afterwards,
 * no tensor of this one is left, and since `run` can't wait for anything, nobody else sees it.
 * @throws Error while another backend is being loaded
 */
export function onShapes<Out>(run: (shapes: ShapeRun) => Out): Out {
  const engine = tf.engine();
  const previous = engine.backendName;
  if (previous && !(previous in engine.registry)) {
    throw new Error(`tfjs computes nothing while it loads the backend "${previous}": await that first.`);
  }
  const backend = new ShapesBackend();
  tf.registerBackend(backendName, () => backend);
  for (const [kernelName, kernel] of Object.entries(kernels)) {
    tf.registerKernel({ kernelName, backendName, kernelFunc: (call) => backend.run(kernel, call) });
  }
  try {
    void tf.setBackend(backendName); // done when it returns, for a backend that is made without waiting
    let out!: Out;
    tf.tidy(() => {
      out = run({
        tensor: (shape, dtype = "float32") => engine.makeTensorFromTensorInfo(backend.info({ shape, dtype })),
        flops: () => backend.flops,
        bytes: () => ({ live: backend.live, peak: backend.peak }),
      });
    });
    return out;
  } finally {
    if (previous) void tf.setBackend(previous);
    tf.removeBackend(backendName);
    for (const kernelName of Object.keys(kernels)) tf.unregisterKernel(kernelName, backendName);
  }
}

/** A data id that counts who uses it. tfjs compares ids and asks nothing else of them. */
interface Id {
  users: number;
  readonly bytes: number;
}

class ShapesBackend extends tf.KernelBackend {
  flops = 0;
  live = 0;
  peak = 0;

  run(kernel: Kernel, { inputs, attrs }: { inputs: tf.NamedTensorInfoMap; attrs?: unknown }): Info | Info[] {
    const results = kernel(inputs as Inputs, attrs);
    return Array.isArray(results) ? results.map((result) => this.info(result)) : this.info(results);
  }

  info({ shape, dtype, flops = 0 }: Result): Info {
    this.flops += flops;
    return { dataId: this.#id(shape, dtype), shape: [...shape], dtype };
  }

  #id(shape: Shape, dtype: tf.DataType): Id {
    const bytes = sizeOf(shape) * tf.util.bytesPerElement(dtype);
    this.live += bytes;
    this.peak = Math.max(this.peak, this.live);
    return { users: 1, bytes };
  }

  override write(_values: unknown, shape: number[], dtype: tf.DataType): tf.DataId {
    return this.#id(shape, dtype);
  }

  override incRef(id: Id): void {
    id.users++;
  }

  override refCount(id: Id): number {
    return id.users;
  }

  override disposeData(id: Id): boolean {
    id.users--;
    if (id.users === 0) this.live -= id.bytes;
    return id.users <= 0;
  }

  override numDataIds(): number {
    return 0;
  }

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override readSync(): never {
    throw new Error("There are only shapes here, no values: a model that reads a value can't be described.");
  }

  override async read(): Promise<never> {
    return this.readSync();
  }

  override floatPrecision(): 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override dispose(): void {}
}

const sizeOf = tf.util.sizeFromShape as (shape: Shape) => number;

function first(inputs: Inputs): Info {
  return Object.values(inputs)[0]!;
}

const same: Kernel = (inputs) => first(inputs);
const sameBool: Kernel = (inputs) => ({ shape: first(inputs).shape, dtype: "bool" });
const broadcast: Kernel = ({ a, b }) => {
  return { shape: tf.broadcast_util.assertAndGetBroadcastShape(a!.shape, b!.shape), dtype: a!.dtype };
};
const compare: Kernel = (inputs, attributes) => ({
  ...(broadcast(inputs, attributes) as Result),
  dtype: "bool",
});

function reduce(dtype?: tf.DataType): Kernel {
  // Only Max has its axes under another name.
  return (inputs, { reductionIndices, axis = reductionIndices, keepDims }) => {
    const x = first(inputs);
    const axes = tf.util.parseAxisParam(axis ?? x.shape.map((_, i) => i), x.shape);
    const [kept] = tf.backend_util.computeOutAndReduceShapes(x.shape, axes);
    const shape = keepDims ? tf.backend_util.expandShapeToKeepDim(kept, axes) : kept;
    return { shape, dtype: dtype ?? x.dtype };
  };
}

const argReduce: Kernel = (inputs, { axis }) => reduce("int32")(inputs, { axis: [axis], keepDims: false });

const matMul: Kernel = ({ a, b }, { transposeA, transposeB }) => {
  const [left, right] = [a!.shape, b!.shape];
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(left.slice(0, -2), right.slice(0, -2));
  const inner = left.at(transposeA ? -2 : -1)!;
  const shape = [...batch, left.at(transposeA ? -1 : -2)!, right.at(transposeB ? -2 : -1)!];
  return { shape, dtype: a!.dtype, flops: 2 * sizeOf(shape) * inner };
};

function conv2d({ depthwise }: { depthwise: boolean }): Kernel {
  return ({ x, filter }, { strides, pad, dataFormat, dilations, dimRoundingMode }) => {
    const format = tf.backend_util.convertConv2DDataFormat(dataFormat ?? "NHWC");
    const [xShape, filterShape] = [x!.shape, filter!.shape] as [Shape4, Shape4];
    const { computeConv2DInfo } = tf.backend_util;
    const { outShape } = computeConv2DInfo(
      xShape,
      filterShape,
      strides,
      dilations ?? 1,
      pad,
      dimRoundingMode,
      depthwise,
      format,
    );
    const [height, width, inChannels] = filterShape;
    const flops = 2 * sizeOf(outShape) * height * width * (depthwise ? 1 : inChannels);
    return { shape: outShape, dtype: x!.dtype, flops };
  };
}

const pool: Kernel = ({ x }, { filterSize, strides, pad, dimRoundingMode }) => {
  const info = tf.backend_util.computePool2DInfo(x!.shape as Shape4, filterSize, strides, 1, pad, dimRoundingMode);
  return { shape: info.outShape, dtype: x!.dtype };
};
type Shape4 = [number, number, number, number];

const pad: Kernel = ({ x }, { paddings }) => ({
  shape: x!.shape.map((length, axis) => length + paddings[axis][0] + paddings[axis][1]),
  dtype: x!.dtype,
});

const concat: Kernel = (inputs, { axis }) => {
  const tensors = Object.values(inputs);
  const [along] = tf.util.parseAxisParam(axis, tensors[0]!.shape);
  const shape = tf.backend_util.computeOutShape(
    tensors.map((tensor) => tensor.shape),
    along!,
  );
  return { shape, dtype: tensors[0]!.dtype };
};

const split: Kernel = ({ x }, { numOrSizeSplits, axis }) => {
  const [along] = tf.util.parseAxisParam(axis, x!.shape) as [number];
  const sizes = tf.backend_util.prepareSplitSize(x as unknown as tf.Tensor, numOrSizeSplits, along);
  return sizes.map((size) => ({ shape: x!.shape.with(along, size), dtype: x!.dtype }));
};

const gather: Kernel = ({ x, indices }, { axis, batchDims }) => {
  const [along] = tf.util.parseAxisParam(axis, x!.shape) as [number];
  const shape = [...x!.shape.slice(0, along), ...indices!.shape.slice(batchDims ?? 0), ...x!.shape.slice(along + 1)];
  return { shape, dtype: x!.dtype };
};

const stridedSlice: Kernel = ({ x }, attributes) => {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes;
  const { sliceInfo } = tf.slice_util;
  const info = sliceInfo(x!.shape, begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask);
  return { shape: info.finalShape, dtype: x!.dtype };
};

const resize: Kernel = ({ images }, { size }) => ({
  shape: [images!.shape[0]!, ...size, images!.shape[3]!],
  dtype: "float32",
});

const depthToSpace: Kernel = ({ x }, { blockSize }) => {
  const [batch, height, width, channels] = x!.shape as Shape4;
  return { shape: [batch, height * blockSize, width * blockSize, channels / blockSize ** 2], dtype: x!.dtype };
};

const unary = [
  ..."Abs Acos Acosh Asin Asinh Atan Atanh Ceil ClipByValue Cos Cosh Cumprod Cumsum Elu Erf Exp Expm1 Floor".split(" "),
  ..."FusedBatchNorm Identity LeakyRelu Log Log1p LogSoftmax Neg OnesLike Prelu Reciprocal Relu Relu6 Reverse".split(
    " ",
  ),
  ..."Round Rsqrt Selu Sigmoid Sign Sin Sinh Softmax Softplus Sqrt Square Step Tan Tanh ZerosLike".split(" "),
];
const binary = "Add Atan2 FloorDiv Maximum Minimum Mod Multiply Pow RealDiv SquaredDifference Sub".split(" ");
const comparisons = "Equal Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr NotEqual".split(" ");
const reductions = "Max Mean Min Prod Sum".split(" ");

/** By the names and with the inputs and attributes of tfjs's `kernel_names.ts`. */
const kernels: Readonly<Record<string, Kernel>> = {
  ...named(unary, same),
  ...named(binary, broadcast),
  ...named(comparisons, compare),
  ...named(reductions, reduce()),
  ...named(["All", "Any"], reduce("bool")),
  ...named(["ArgMax", "ArgMin"], argReduce),
  ...named(["IsFinite", "IsInf", "IsNan", "LogicalNot"], sameBool),
  ...named(["BatchMatMul", "_FusedMatMul"], matMul),
  ...named(["Conv2D", "FusedConv2D"], conv2d({ depthwise: false })),
  ...named(["DepthwiseConv2dNative", "FusedDepthwiseConv2D"], conv2d({ depthwise: true })),
  ...named(["AvgPool", "MaxPool"], pool),
  ...named(["MirrorPad", "PadV2"], pad),
  ...named(["ResizeBilinear", "ResizeNearestNeighbor"], resize),
  AddN: same,
  BroadcastTo: ({ x }, { shape }) => ({ shape, dtype: x!.dtype }),
  Cast: ({ x }, { dtype }) => ({ shape: x!.shape, dtype }),
  Concat: concat,
  DepthToSpace: depthToSpace,
  ExpandDims: ({ input }, { dim }) => {
    const axis = dim < 0 ? dim + input!.shape.length + 1 : dim;
    return { shape: input!.shape.toSpliced(axis, 0, 1), dtype: input!.dtype };
  },
  Fill: (_, { shape, value, dtype }) => ({ shape, dtype: dtype ?? tf.util.inferDtype(value) }),
  GatherV2: gather,
  LinSpace: (_, { num }) => ({ shape: [num], dtype: "float32" }),
  OneHot: ({ indices }, { depth, dtype }) => ({ shape: [...indices!.shape, depth], dtype: dtype ?? "int32" }),
  Pack: (inputs, { axis }) => {
    const tensors = Object.values(inputs);
    return { shape: tensors[0]!.shape.toSpliced(axis, 0, tensors.length), dtype: tensors[0]!.dtype };
  },
  Range: (_, { start, stop, step, dtype }) => ({
    shape: [Math.max(0, Math.ceil((stop - start) / step))],
    dtype: dtype ?? "float32",
  }),
  Reshape: ({ x }, { shape }) => ({ shape: tf.util.inferFromImplicitShape(shape, sizeOf(x!.shape)), dtype: x!.dtype }),
  Select: ({ t }) => t!,
  Slice: ({ x }, { begin, size }) => {
    const [, shape] = tf.slice_util.parseSliceParams(x!, begin, size);
    return { shape: shape!, dtype: x!.dtype };
  },
  SplitV: split,
  StridedSlice: stridedSlice,
  Tile: ({ x }, { reps }) => ({ shape: x!.shape.map((length, axis) => length * reps[axis]), dtype: x!.dtype }),
  Transpose: ({ x }, { perm }) => ({ shape: perm.map((axis: number) => x!.shape[axis]!), dtype: x!.dtype }),
  Unpack: ({ value }, { axis }) => {
    const [along] = tf.util.parseAxisParam(axis, value!.shape) as [number];
    const part = { shape: value!.shape.toSpliced(along, 1), dtype: value!.dtype };
    return Array.from({ length: value!.shape[along]! }, () => part);
  },
};

function named(names: readonly string[], kernel: Kernel): Record<string, Kernel> {
  return Object.fromEntries(names.map((name) => [name, kernel]));
}
