import * as tf from "@tensorflow/tfjs-core";
import { operator, reshape, sizeOf, transpose } from "../build.ts";
import { isConstant } from "../compile.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { biasAndActivation } from "./activation.ts";
import { areBlocks, blockedConvolution } from "./blocked.ts";
import { lastingConvolution } from "./lasting-blocks.ts";
import { matMul } from "./matmul.ts";
import { inFours } from "./webgpu.ts";
import {
  channelsFirst,
  channelsLast,
  isPointwise,
  readPart,
  type Window,
  window2d,
  window3d,
  windowAttributes,
} from "./window.ts";

/** x [N, sides, I], filter [O, I / groups, sides] → [N, sides, O] */
export function convolve(x: Node, filter: Node, window: Window, groups = 1): Node {
  const shape = [x.shape[0]!, filter.shape[0]!, ...window.outputs];
  const attributes = { ...windowAttributes(window), group: BigInt(groups) };
  const read = readPart(x, window);
  const [pictures, weights] = groups === 1 ? inFours(read, filter) : [read, filter];
  return channelsLast(operator("Conv", [channelsFirst(pictures), weights], { type: x.type, shape }, attributes));
}

/** The same of pictures, in the fastest form. filter [height, width, I, O] → [N, H', W', O] */
function convolve2d(x: Node, filter: Node, window: Window): Node {
  const [inChannels, outChannels] = filter.shape.slice(2) as [number, number];
  // ONNX Runtime finds the best form for a filter that does not change.
  if (isConstant(filter)) {
    const turned = filterFirst(filter);
    return lastingConvolution(x, turned, window) ?? convolve(x, turned, window);
  }
  if (isPointwise(window)) {
    const rows = reshape(x, [sizeOf(x.shape) / inChannels, inChannels]);
    return reshape(matMul(rows, reshape(filter, [inChannels, outChannels])), [...x.shape.slice(0, -1), outChannels]);
  }
  if (areBlocks(inChannels, outChannels)) return blockedConvolution(readPart(x, window), filter, window);
  return convolve(x, filterFirst(filter), window);
}

/** [sides, I, O], as tfjs has it, → [O, I, sides], as ONNX and PyTorch have it */
export function filterFirst(filter: Node): Node {
  const rank = filter.shape.length;
  return transpose(filter, [rank - 1, rank - 2, ...Array(rank - 2).keys()]);
}

/** [height, width, C, M] → [C·M, 1, height, width]: M outputs of each channel by itself */
export function depthwiseFilter(filter: Node): Node {
  const [height, width, channels, multiplier] = filter.shape as [number, number, number, number];
  return reshape(transpose(filter, [2, 3, 0, 1]), [channels * multiplier, 1, height, width]);
}

/** What a kernel makes of pictures with the channels last, of pictures with the channels where `dataFormat` says. */
export function inFormat(dataFormat: string | undefined, x: Node, run: (x: Node) => Node): Node {
  return dataFormat === "NCHW" ? channelsFirst(run(channelsLast(x))) : run(x);
}

function conv2d(
  x: Node,
  filter: Node,
  { strides, pad, dilations, dimRoundingMode, dataFormat }: ConvolutionAttributes,
) {
  return inFormat(dataFormat, x, (pictures) => {
    const [inShape, filterShape] = [pictures.shape, filter.shape] as [Shape4D, Shape4D];
    const info = tf.backend_util.computeConv2DInfo(
      inShape,
      filterShape,
      strides,
      dilations,
      formatted(pad, dataFormat),
      dimRoundingMode,
    );
    return convolve2d(pictures, filter, window2d(info));
  });
}

function depthwise(x: Node, filter: Node, { strides, pad, dilations, dimRoundingMode }: ConvolutionAttributes): Node {
  const [inShape, filterShape] = [x.shape, filter.shape] as [Shape4D, Shape4D];
  const info = tf.backend_util.computeConv2DInfo(
    inShape,
    filterShape,
    strides,
    dilations ?? 1,
    pad,
    dimRoundingMode,
    true,
  );
  return convolve(x, depthwiseFilter(filter), window2d(info), x.shape[3]!);
}

export type Shape4D = [number, number, number, number];
export type Shape5D = [number, number, number, number, number];
export type Padding = "same" | "valid" | number | tf.backend_util.ExplicitPadding;

export interface ConvolutionAttributes {
  strides: number | [number, number];
  pad: Padding;
  dilations: number | [number, number];
  dimRoundingMode?: "floor" | "round" | "ceil";
  dataFormat?: "NHWC" | "NCHW";
}

/** Explicit padding for channels that are last. */
export function formatted(pad: Padding, dataFormat: string | undefined): Padding {
  if (typeof pad !== "object" || dataFormat !== "NCHW") return pad;
  return [pad[0], pad[2], pad[3], pad[1]] as tf.backend_util.ExplicitPadding;
}

export const convolution: Kernels = {
  Conv2D: ({ inputs: { x, filter }, attrs }) => conv2d(x!, filter!, attrs),
  FusedConv2D: (call) => {
    const { inputs, attrs } = call;
    const slope = inputs.preluActivationWeights;
    const isFirst = attrs.dataFormat === "NCHW" && slope?.shape.length === 3;
    const turned = isFirst ? { ...inputs, preluActivationWeights: transpose(slope, [1, 2, 0]) } : inputs;
    const y = conv2d(inputs.x!, inputs.filter!, attrs);
    return inFormat(attrs.dataFormat, y, (pictures) => biasAndActivation(pictures, { ...call, inputs: turned }));
  },
  DepthwiseConv2dNative: ({ inputs: { x, filter }, attrs }) => depthwise(x!, filter!, attrs),
  FusedDepthwiseConv2D: (call) => biasAndActivation(depthwise(call.inputs.x!, call.inputs.filter!, call.attrs), call),
  Conv3D: ({ inputs: { x, filter }, attrs: { strides, pad, dilations } }) => {
    const info = tf.backend_util.computeConv3DInfo(
      x!.shape as Shape5D,
      filter!.shape as Shape5D,
      strides,
      dilations,
      pad,
    );
    return convolve(x!, filterFirst(filter!), window3d(info));
  },
};
