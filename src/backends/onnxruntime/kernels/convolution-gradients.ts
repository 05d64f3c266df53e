import * as tf from "@tensorflow/tfjs-core";
import { big, binary, ints, operator, reshape, sizeOf } from "../build.ts";
import { leaf, type Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { areBlocks, blockedFilterGradient, blockedInputGradient, isBlockedInputGradient } from "./blocked.ts";
import { columns } from "./columns.ts";
import { depthwiseFilter, filterFirst, formatted, inFormat, type Shape4D, type Shape5D } from "./convolution.ts";
import { matMul } from "./matmul.ts";
import { byMultiple } from "./webgpu.ts";
import {
  channelsFirst,
  channelsLast,
  firstCells,
  isPointwise,
  reach,
  type Window,
  window2d,
  window3d,
  windowAttributes,
} from "./window.ts";

/** The gradient by a convolution's input. dy [N, sides, O], filter [O, I / groups, sides] → [N, sides, I] */
function inputGradient(dy: Node, filter: Node, window: Window, groups = 1): Node {
  const { inputs, before, strides } = window;
  // Cells at the end that no filter reached have no gradient. ONNX adds less than a stride of them, as "output padding".
  const unread = inputs.map((length, side) => length + before[side]! - reach(window, side));
  const added = unread.map((cells, side) => Math.max(0, Math.min(cells, strides[side]! - 1)));
  const missing = unread.map((cells, side) => Math.max(0, cells - added[side]!));
  const attributes = {
    ...windowAttributes(window),
    pads: big([...before, ...unread.map((cells) => Math.max(0, -cells))]),
    output_padding: big(added),
    group: BigInt(groups),
  };
  const shape = [dy.shape[0]!, filter.shape[1]! * groups, ...inputs.map((length, side) => length - missing[side]!)];
  const gradient = operator("ConvTranspose", [channelsFirst(dy), filter], { type: dy.type, shape }, attributes);
  return channelsLast(zerosBehind(gradient, missing));
}

/** The same of pictures, in the fastest form. filter [height, width, I, O] */
function inputGradient2d(dy: Node, filter: Node, window: Window): Node {
  const [inChannels, outChannels] = filter.shape.slice(2) as [number, number];
  if (isPointwise(window)) {
    const rows = reshape(dy, [sizeOf(dy.shape) / outChannels, outChannels]);
    const gradient = matMul(rows, reshape(filter, [inChannels, outChannels]), { transposeB: true });
    return reshape(gradient, [dy.shape[0]!, ...window.inputs, inChannels]);
  }
  if (isBlockedInputGradient(window) && areBlocks(inChannels, outChannels))
    return blockedInputGradient(dy, filter, window);
  return inputGradient(dy, filterFirst(filter), window);
}

/** x [N, C, sides] and some cells of zeros at the end of each side. */
function zerosBehind(x: Node, counts: readonly number[]): Node {
  if (counts.every((count) => count === 0)) return x;
  const after = [0, 0, ...counts];
  const shape = x.shape.map((length, axis) => length + after[axis]!);
  return operator("Pad", [x, ints([...after.map(() => 0), ...after])], { type: x.type, shape });
}

/** The gradient by a convolution's filter. x [N, sides, I], dy [N, sides, O] → [sides, I, O] */
function filterGradient(x: Node, dy: Node, window: Window): Node {
  const [inChannels, outChannels] = [x.shape.at(-1)!, dy.shape.at(-1)!];
  if (isBlockedFilterGradient(x, dy, window)) return blockedFilterGradient(x, dy, window);
  const rows = isPointwise(window) ? reshape(x, [sizeOf(x.shape) / inChannels, inChannels]) : columns(x, window);
  const product = matMul(rows, reshape(dy, [sizeOf(dy.shape) / outChannels, outChannels]), { transposeA: true });
  return reshape(product, [...window.sizes, inChannels, outChannels]);
}

function isBlockedFilterGradient(x: Node, dy: Node, window: Window): boolean {
  return x.shape.length === 4 && !isPointwise(window) && areBlocks(x.shape[0]!, dy.shape.at(-1)!);
}

/** The gradient by the filter of a convolution of each channel by itself: [height, width, C, M] */
function depthwiseFilterGradient(x: Node, dy: Node, window: Window, filterShape: Shape4D): Node {
  const [height, width, channels, multiplier] = filterShape;
  const places = sizeOf(dy.shape) / (channels * multiplier);
  const seen = reshape(columns(x, window), [places, height * width, channels, 1]);
  const from = reshape(dy, [places, 1, channels, multiplier]);
  const products = operator("Mul", [seen, from], {
    type: x.type,
    shape: [places, height * width, channels, multiplier],
  });
  const axes = leaf("int64", [1], { kind: "constant", values: BigInt64Array.of(0n) });
  const sums = operator(
    "ReduceSum",
    [products, axes],
    { type: x.type, shape: products.shape.slice(1) },
    { keepdims: 0n },
  );
  return reshape(sums, filterShape);
}

export const convolutionGradients: Kernels = {
  Conv2DBackpropInput: ({ inputs: { dy, filter }, attrs: { strides, pad, dataFormat, dimRoundingMode, inputShape } }) =>
    inFormat(dataFormat, dy!, (pictures) => {
      const shape = lastChannels(inputShape, dataFormat);
      const info = tf.backend_util.computeConv2DInfo(
        shape,
        filter!.shape as Shape4D,
        strides,
        1,
        formatted(pad, dataFormat),
        dimRoundingMode,
      );
      const window = window2d(info);
      // conv2dTranspose may be told a result that is too small for all of its input.
      return inputGradient2d(firstCells(pictures, window.outputs), filter!, window);
    }),
  Conv2DBackpropFilter: ({ inputs, attrs: { strides, pad, dataFormat, dimRoundingMode, filterShape } }) => {
    const [x, dy] =
      dataFormat === "NCHW" ? [channelsLast(inputs.x!), channelsLast(inputs.dy!)] : [inputs.x!, inputs.dy!];
    const info = tf.backend_util.computeConv2DInfo(
      x.shape as Shape4D,
      filterShape,
      strides,
      1,
      formatted(pad, dataFormat),
      dimRoundingMode,
    );
    return filterGradient(x, dy, window2d(info));
  },
  DepthwiseConv2dNativeBackpropInput: ({ inputs: { dy, filter }, attrs }) => {
    const { strides, dilations, pad, dimRoundingMode, inputShape } = attrs;
    const info = tf.backend_util.computeConv2DInfo(
      inputShape,
      filter!.shape as Shape4D,
      strides,
      dilations,
      pad,
      dimRoundingMode,
      true,
    );
    return byMultiple(dy!, filter!)
      .map(([part, weights]) => inputGradient(part, depthwiseFilter(weights), window2d(info), inputShape[3]))
      .reduce((sum, gradient) => binary("Add", sum, gradient));
  },
  DepthwiseConv2dNativeBackpropFilter: ({ inputs: { x, dy }, attrs }) => {
    const { strides, dilations, pad, dimRoundingMode, filterShape } = attrs;
    const info = tf.backend_util.computeConv2DInfo(
      x!.shape as Shape4D,
      filterShape,
      strides,
      dilations,
      pad,
      dimRoundingMode,
      true,
    );
    return depthwiseFilterGradient(x!, dy!, window2d(info), filterShape);
  },
  Conv3DBackpropInputV2: ({ inputs: { dy, filter }, attrs: { strides, pad, inputShape } }) => {
    const info = tf.backend_util.computeConv3DInfo(inputShape, filter!.shape as Shape5D, strides, 1, pad);
    return inputGradient(dy!, filterFirst(filter!), window3d(info));
  },
  Conv3DBackpropFilterV2: ({ inputs: { x, dy }, attrs: { strides, pad, filterShape } }) => {
    const info = tf.backend_util.computeConv3DInfo(x!.shape as Shape5D, filterShape, strides, 1, pad);
    return filterGradient(x!, dy!, window3d(info));
  },
};

function lastChannels([batch, a, b, c]: Shape4D, dataFormat: string | undefined): Shape4D {
  return dataFormat === "NCHW" ? [batch, b, c, a] : [batch, a, b, c];
}
