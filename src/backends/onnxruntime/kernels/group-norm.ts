import { binary, ints, operator, reshape, scalar, sizeOf, unary } from "../build.ts";
import { isConstant } from "../compile.ts";
import { leaf, type Node } from "../graph.ts";
import type { Kernel } from "../kernel.ts";
import { channelsFirst, channelsLast } from "./window.ts";

/** Numbers of a group that a sum in one go loses no more of than the last digit or two. */
const maxInstance = 2 ** 16;

interface GroupNorm {
  x: Node;
  gain: Node;
  bias: Node;
  groups: number;
  eps: number;
}

/** Group normalization of x [N, sides, C]. ONNX Runtime takes its own GroupNormalization apart into slower operators. */
export const groupNorm: Kernel = ({ inputs, attrs }) => {
  const call = { ...inputs, ...attrs } as GroupNorm;
  const { x, gain, groups } = call;
  const inGroup = sizeOf(x.shape) / (x.shape[0]! * groups);
  // With weights in files the convolutions around it work on channels before sides.
  return isConstant(gain) && inGroup <= maxInstance ? asInstances(call) : byRows(call);
};

/**
 * A group is one channel for InstanceNormalization; BatchNormalization with mean 0 and variance 1 is a gain and a bias for
 * each channel, in one pass.
 */
function asInstances({ x, gain, bias, groups, eps }: GroupNorm): Node {
  const first = channelsFirst(x);
  const [batch, channels] = first.shape as [number, number];
  const instances = reshape(first, [batch, groups, sizeOf(first.shape) / (batch * groups)]);
  const inputs = [instances, filled(groups, 1), filled(groups, 0)];
  const normalized = reshape(operator("InstanceNormalization", inputs, instances, { epsilon: eps }), first.shape);
  const parameters = [gain, bias, filled(channels, 0), filled(channels, 1)];
  return channelsLast(operator("BatchNormalization", [normalized, ...parameters], first, { epsilon: 0 }));
}

/** In whatever order the axes are: only sums along sides are taken of the large tensors, and those side by side. */
function byRows({ x, gain, bias, groups, eps }: GroupNorm): Node {
  const centred = binary("Sub", x, groupMeans(x, groups));
  const variance = groupMeans(binary("Mul", centred, centred), groups);
  const inverse = unary("Reciprocal", unary("Sqrt", binary("Add", variance, scalar(eps, "float32"))));
  return binary("Add", binary("Mul", centred, binary("Mul", inverse, gain)), bias);
}

/** For each channel the mean of its group, [N, 1, ..., C]. */
function groupMeans(x: Node, groups: number): Node {
  let means = x;
  for (let axis = x.shape.length - 2; axis > 0; axis--) means = mean(means, axis);
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const perGroup = [batch, groups, channels / groups];
  const ofGroups = mean(reshape(means, perGroup), 2);
  const repeated = operator("Expand", [ofGroups, ints(perGroup)], { type: x.type, shape: perGroup });
  return reshape(repeated, means.shape);
}

function mean(x: Node, axis: number): Node {
  return operator("ReduceMean", [x, ints([axis])], { type: x.type, shape: x.shape.with(axis, 1) }, { keepdims: 1n });
}

function filled(length: number, value: number): Node {
  return leaf("float32", [length], { kind: "constant", values: new Float32Array(length).fill(value) });
}
