import { binary, ints, operator, reshape, scalar, sizeOf, unary } from "../build.ts";
import { isConstant } from "../compile.ts";
import { leaf, type Node } from "../graph.ts";
import type { Kernel } from "../kernel.ts";
import { blocksBehind, normalizeBlocks } from "./lasting-blocks.ts";
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
  const blocks = blocksBehind(x);
  if (blocks) return normalizeBlocks(blocks, { ...call, groupMeans: (means) => channelMeans(means, groups) });
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
function byRows(call: GroupNorm): Node {
  const { centred, inverse } = statistics(call);
  return binary("Add", binary("Mul", centred, binary("Mul", inverse, call.gain)), call.bias);
}

/** x less the mean of its group, and what that is multiplied by, [N, 1, ..., C]. */
function statistics({ x, groups, eps }: Omit<GroupNorm, "gain" | "bias">): { centred: Node; inverse: Node } {
  const centred = binary("Sub", x, groupMeans(x, groups));
  const variance = groupMeans(binary("Mul", centred, centred), groups);
  const inverse = unary("Reciprocal", unary("Sqrt", binary("Add", variance, scalar(eps, "float32"))));
  return { centred, inverse };
}

/**
 * The gradients by x, gain and bias. With n the normalized x, g = dy · gain, and means over groups:
 * dx = (g − mean g − n · mean(g n)) / deviation. What it has in common with `byRows`, ONNX Runtime computes once.
 */
export const groupNormGradient: Kernel = ({ inputs, attrs }) => {
  const { x, gain, dy } = inputs as { x: Node; gain: Node; dy: Node };
  const { centred, inverse } = statistics({ x, ...attrs });
  const channels = [x.shape.at(-1)!];
  // Of each channel, [N, 1, ..., C].
  const [plain, along] = [cellMeans(dy), binary("Mul", cellMeans(binary("Mul", dy, centred)), inverse)];
  const [g, gn] = [plain, along].map((means) => channelMeans(binary("Mul", means, gain), attrs.groups)) as [Node, Node];

  const direct = binary("Mul", dy, binary("Mul", inverse, gain));
  const turned = binary("Mul", centred, binary("Mul", binary("Mul", inverse, inverse), gn));
  const cells = scalar(sizeOf(x.shape) / (x.shape[0]! * channels[0]!), "float32");
  const total = (means: Node): Node => {
    const rows = reshape(binary("Mul", means, cells), [x.shape[0]!, ...channels]);
    return operator("ReduceSum", [rows, ints([0])], { type: x.type, shape: channels }, { keepdims: 0n });
  };
  return [binary("Sub", binary("Sub", direct, turned), binary("Mul", inverse, g)), total(along), total(plain)];
};

/** For each channel the mean of its group, [N, 1, ..., C]. */
function groupMeans(x: Node, groups: number): Node {
  return channelMeans(cellMeans(x), groups);
}

/** Over all cells: [N, sides, C] → [N, 1, ..., C] */
function cellMeans(x: Node): Node {
  let means = x;
  for (let axis = x.shape.length - 2; axis > 0; axis--) means = mean(means, axis);
  return means;
}

/** For each channel the mean over the channels of its group: [N, 1, ..., C], and so is the result. */
function channelMeans(x: Node, groups: number): Node {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const perGroup = [batch, groups, channels / groups];
  const means = mean(reshape(x, perGroup), 2);
  return reshape(operator("Expand", [means, ints(perGroup)], { type: x.type, shape: perGroup }), x.shape);
}

function mean(x: Node, axis: number): Node {
  return operator("ReduceMean", [x, ints([axis])], { type: x.type, shape: x.shape.with(axis, 1) }, { keepdims: 1n });
}

function filled(length: number, value: number): Node {
  return leaf("float32", [length], { kind: "constant", values: new Float32Array(length).fill(value) });
}
