import * as tf from "@tensorflow/tfjs-core";
import type { Binding, NodeBackend } from "./tensorflow-node.ts";
import { type Id, Operations } from "./tensorflow-operations.ts";

type Inputs = tf.NamedTensorInfoMap;

/** Gives tfjs-node's backend kernels for what is composed of many on other backends, and faster ones for some that it has. */
export function registerTensorflowKernels(): void {
  if (tf.getKernel("SiLU", "tensorflow")) return;
  for (const [kernelName, kernelFunc] of Object.entries(kernels)) {
    tf.registerKernel({ kernelName, backendName: "tensorflow", kernelFunc });
  }
  for (const [kernelName, faster] of Object.entries(fasterKernels)) {
    const { kernelFunc, ...config } = tf.getKernel(kernelName, "tensorflow");
    tf.unregisterKernel(kernelName, "tensorflow");
    tf.registerKernel({ ...config, kernelFunc: (call) => (faster(call) ?? kernelFunc)(call) });
  }
}

const kernels: Readonly<Record<string, tf.KernelFunc>> = {
  /** x s, and s = sigmoid(x) */
  SiLU: Operations.kernel((ops, { x }: Inputs) => {
    const sigmoid = ops.run("Sigmoid", [ops.of(x!)]);
    return [ops.result(ops.run("Mul", [ops.of(x!), sigmoid])), ops.result(sigmoid)];
  }),

  /** dy s (1 + x − y) */
  SiLUGrad: Operations.kernel((ops, { dy, x, y, kept: sigmoid }: Inputs) => {
    const factor = ops.run("AddV2", [ops.run("Sub", [ops.of(x!), ops.of(y!)]), ops.number(1)]);
    return ops.result(ops.run("Mul", [ops.run("Mul", [factor, ops.of(sigmoid!)]), ops.of(dy!)]));
  }),

  /** x Φ(x), and Φ(x) */
  GELU: Operations.kernel((ops, { x }: Inputs) => {
    const erf = ops.run("Erf", [ops.run("Mul", [ops.of(x!), ops.number(Math.SQRT1_2)])]);
    const normal = ops.run("Mul", [ops.run("AddV2", [erf, ops.number(1)]), ops.number(0.5)]);
    return [ops.result(ops.run("Mul", [ops.of(x!), normal])), ops.result(normal)];
  }),

  /** dy (Φ(x) + x φ(x)) */
  GELUGrad: Operations.kernel((ops, { dy, x, kept: normal }: Inputs) => {
    const exponential = ops.run("Exp", [ops.run("Mul", [ops.run("Square", [ops.of(x!)]), ops.number(-0.5)])]);
    const density = ops.run("Mul", [exponential, ops.number(1 / Math.sqrt(2 * Math.PI))]);
    const slope = ops.run("AddV2", [ops.run("Mul", [ops.of(x!), density]), ops.of(normal!)]);
    return ops.result(ops.run("Mul", [slope, ops.of(dy!)]));
  }),

  /** The norm, the normalized x, and what its difference from the mean was multiplied by, [..., 1] */
  LayerNorm: Operations.kernel((ops, { x, gain, bias }: Inputs, { eps }: { eps: number }) => {
    const last = [x!.shape.length - 1];
    const centred = ops.run("Sub", [ops.of(x!), ops.reduce("Mean", ops.of(x!), last)]);
    const variance = ops.reduce("Mean", ops.run("Square", [centred]), last);
    const inverse = ops.run("Rsqrt", [ops.run("AddV2", [variance, ops.number(eps)])]);
    const normalized = ops.run("Mul", [centred, inverse]);
    const y = ops.run("AddV2", [ops.run("Mul", [normalized, ops.of(gain!)]), ops.of(bias!)]);
    return [y, normalized, inverse].map((id) => ops.result(id));
  }),

  /** With n the normalized x and g = dy · gain: dx = (g − mean g − n · mean(g n)) / deviation */
  LayerNormGrad: Operations.kernel((ops, { dy, gain, kept, kept1: inverse }: Inputs) => {
    const [given, normalized, last] = [ops.of(dy!), ops.of(kept!), [dy!.shape.length - 1]];
    const g = ops.run("Mul", [given, ops.of(gain!)]);
    const along = ops.reduce("Mean", ops.run("Mul", [g, normalized]), last);
    const centred = ops.run("Sub", [g, ops.reduce("Mean", g, last)]);
    const dx = ops.run("Mul", [ops.run("Sub", [centred, ops.run("Mul", [normalized, along])]), ops.of(inverse!)]);
    return [dx, ops.columnSums(ops.run("Mul", [given, normalized])), ops.columnSums(given)].map((id) => ops.result(id));
  }),

  /** The norm, and of each group the mean and what the difference from it was multiplied by, [B, G, 1] */
  GroupNorm: Operations.kernel((ops, { x, gain, bias }: Inputs, { groups, eps }: { groups: number; eps: number }) => {
    const { toGroups, toChannels } = formsOf(ops, x!.shape, groups);
    // The variance within each channel, and that between the means of a group's: so no mean has to be repeated for channels.
    const means = overCells(ops, "Mean", ops.of(x!), x!.shape);
    const squares = ops.run("SquaredDifference", [ops.of(x!), means]);
    const within = toGroups(overCells(ops, "Mean", squares, x!.shape));
    ops.free(squares); // as large as the picture
    const inGroups = toGroups(means);
    const mean = ops.reduce("Mean", inGroups, [2]);
    const between = ops.run("SquaredDifference", [inGroups, mean]);
    const variance = ops.reduce("Mean", ops.run("AddV2", [within, between]), [2]);
    const inverse = ops.run("Rsqrt", [ops.run("AddV2", [variance, ops.number(eps)])]);

    const scale = ops.run("Mul", [inverse, toGroups(ops.of(gain!), 1)]); // [B, G, C / G]
    const shift = ops.run("Sub", [toGroups(ops.of(bias!), 1), ops.run("Mul", [mean, scale])]);
    const y = ops.run("AddV2", [ops.run("Mul", [ops.of(x!), toChannels(scale)]), toChannels(shift)]);
    return [y, mean, inverse].map((id) => ops.result(id));
  }),

  /** That of src/ops, on groups. */
  GroupNormGrad: Operations.kernel((ops, { dy, x, gain, kept, kept1 }: Inputs, { groups }: { groups: number }) => {
    const { toGroups, toChannels, repeated } = formsOf(ops, x!.shape, groups);
    const [mean, inverse, gains] = [ops.of(kept!), ops.of(kept1!), toGroups(ops.of(gain!), 1)];
    const product = ops.run("Mul", [ops.of(dy!), ops.of(x!)]);
    const sums = toGroups(overCells(ops, "Sum", product, x!.shape));
    ops.free(product);
    const plain = toGroups(overCells(ops, "Sum", ops.of(dy!), x!.shape)); // [B, G, C / G], as all that follow
    const along = ops.run("Mul", [ops.run("Sub", [sums, ops.run("Mul", [plain, mean])]), inverse]);

    const share = ops.number((groups * x!.shape[0]!) / tf.util.sizeFromShape(x!.shape));
    const meanOf = (ofChannels: Id): Id =>
      ops.run("Mul", [ops.reduce("Sum", ops.run("Mul", [ofChannels, gains]), [2]), share]);
    const byX = ops.run("Mul", [ops.run("Square", [inverse]), meanOf(along)]);
    const constant = ops.run("Sub", [ops.run("Mul", [byX, mean]), ops.run("Mul", [inverse, meanOf(plain)])]);

    const direct = ops.run("Mul", [ops.of(dy!), toChannels(ops.run("Mul", [inverse, gains]))]);
    const turned = ops.run("Sub", [ops.run("Mul", [ops.of(x!), repeated(byX)]), repeated(constant)]);
    const total = (ofChannels: Id): Id => ops.reshape(ops.reduce("Sum", ofChannels, [0]), gain!.shape);
    return [ops.run("Sub", [direct, turned]), total(along), total(plain)].map((id) => ops.result(id));
  }),

  SumOfSquares: Operations.kernel((ops, { x }: Inputs) =>
    ops.result(ops.run("Mul", [ops.run("L2Loss", [ops.of(x!)]), ops.number(2)])),
  ),

  /** A weight and its moments after a step: all of it in one pass over them, for thirteen. */
  AdamW: Operations.kernel((ops, inputs: Inputs, { beta1, beta2 }: { beta1: number; beta2: number }) => {
    const { weight, first, second, gradient, rate, eps, kept } = inputs;
    const given = [weight, first, second].map((tensor) => ops.of(tensor!));
    const decayed = kept && ops.run("Mul", [given[0]!, ops.of(kept)]);
    // TensorFlow's step changes variables. What they are given is copied where somebody else has it still.
    const variables = given.map((_, i) => ops.constant(`variable ${i}`, (binding) => makeVariable(binding, i)));
    const type = ops.type("dtype");
    for (const [i, variable] of variables.entries()) {
      ops.call("AssignVariableOp", [variable, (i === 0 && decayed) || given[i]!], [type], 0);
    }
    if (decayed) ops.free(decayed);
    // Its own corrections of bias are 1 with powers of 0: the given rate and eps have them.
    const numbers = [ops.number(0), ops.number(0), ops.of(rate!), ops.number(beta1), ops.number(beta2), ops.of(eps!)];
    ops.call("ResourceApplyAdam", [...variables, ...numbers, ops.of(gradient!)], [ops.type("T")], 0);
    return variables.map((variable) => {
      const updated = ops.call("ReadVariableOp", [variable], [type], 1)!;
      ops.call("DestroyResourceOp", [variable], [], 0);
      return ops.result(updated);
    });
  }),
};

/** Kernels in place of tfjs-node's, for those calls that they are for. */
const fasterKernels: Readonly<Record<string, (call: Call) => tf.KernelFunc | undefined>> = {
  /** tfjs-node converts to float32 what is float32. */
  Mean: ({ inputs: { x } }) => (x!.dtype === "float32" ? mean : undefined),
  /** The gradient of every bias is such a sum. */
  Sum: ({ inputs: { x }, attrs }) => {
    const { axis, keepDims } = attrs as unknown as Reduction;
    const axes = tf.util.parseAxisParam(axis, x!.shape);
    const isOfColumns = axes.length > 0 && axes.length === x!.shape.length - 1 && axes.every((axis, i) => axis === i);
    return x!.dtype === "float32" && isOfColumns && !keepDims ? columnSums : undefined;
  },
  /** tfjs's gradients reshape what has its shape already. */
  Reshape: ({ inputs: { x }, attrs }) => {
    const shape = tf.util.inferFromImplicitShape([...(attrs!.shape as number[])], tf.util.sizeFromShape(x!.shape));
    return tf.util.arraysEqual(shape, x!.shape) ? share : undefined;
  },
};

interface Call {
  inputs: Inputs;
  attrs?: tf.NamedAttrMap;
}

interface Reduction {
  axis: number | number[];
  keepDims: boolean;
}

const mean = Operations.kernel((ops, { x }: Inputs, { axis, keepDims }: Reduction) =>
  ops.result(ops.reduce("Mean", ops.of(x!), tf.util.parseAxisParam(axis, x!.shape), { keepDims })),
);

const columnSums = Operations.kernel((ops, { x }: Inputs) => ops.result(ops.columnSums(ops.of(x!))));

const share: tf.KernelFunc = ({ inputs, backend }) => {
  const { dataId, shape, dtype } = inputs.x!;
  (backend as NodeBackend).incRef(dataId);
  return { dataId, shape, dtype };
};

/** The forms in which a group norm of a picture [B, ..., C] has its numbers. */
function formsOf(ops: Operations, shape: readonly number[], groups: number) {
  const [batch, channels] = [shape[0]!, shape.at(-1)!];
  const perGroup = [groups, channels / groups];
  const perChannel = [batch, ...shape.slice(1, -1).map(() => 1), channels];
  const toChannels = (id: Id): Id => ops.reshape(id, perChannel);
  return {
    /** → [B, G, C / G] */
    toGroups: (id: Id, rows = batch): Id => ops.reshape(id, [rows, ...perGroup]),
    /** [B, G, C / G] → [B, 1, ..., C] */
    toChannels,
    /** [B, G, 1] → [B, 1, ..., C] */
    repeated: (id: Id): Id => toChannels(ops.broadcast(id, [batch, ...perGroup])),
  };
}

/** [B, ..., C] → [B, 1, ..., C], axis by axis: see src/ops/group-norm.ts */
function overCells(ops: Operations, name: "Sum" | "Mean", x: Id, shape: readonly number[]): Id {
  let reduced = x;
  for (let axis = shape.length - 2; axis > 0; axis--) reduced = ops.reduce(name, reduced, [axis]);
  return reduced;
}

/** A variable without a value, which may have any shape in turn. */
function makeVariable(binding: Binding, index: number): Id {
  const attributes = [
    { name: "dtype", type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT },
    { name: "shape", type: binding.TF_ATTR_SHAPE, value: [] },
    { name: "container", type: binding.TF_ATTR_STRING, value: "" },
    { name: "shared_name", type: binding.TF_ATTR_STRING, value: `tfjs-diffusion AdamW ${index}` },
  ];
  return binding.executeOp("VarHandleOp", attributes, [], 1)[0]!.id;
}
