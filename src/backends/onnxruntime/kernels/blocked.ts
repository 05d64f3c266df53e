import { blockSize } from "../block-size.ts";
import { big, operator, reshape, transpose } from "../build.ts";
import { type Node, recordingDevice } from "../graph.ts";
import { grid, paddedSide, rowsAt, steps, withRow } from "./grid.ts";
import { type Window, windowAttributes } from "./window.ts";

// ONNX Runtime's own convolution, which takes blocks of B channels together. It rewrites a graph to it where the filter is a
// constant; here it is given filters that are not. The pictures stay [N, H, W, C] outside, so that nothing is transposed.
// A filter is [O / B, I / B, height, width, B of I, B of O] there, which is a choice of rows of B numbers from tfjs's.

export const domain = "com.microsoft.nchwc";

/** Whether all these counts of channels are whole blocks. */
export function areBlocks(...counts: readonly number[]): boolean {
  if (recordingDevice() !== "cpu") return false; // they are the processor's
  if (!counts.every((count) => count % 8 === 0)) return false; // the smallest block there is
  return blockSize() > 1 && counts.every((count) => count % blockSize() === 0);
}

/** x [N, H, W, I], filter [height, width, I, O] → [N, H', W', O] */
export function blockedConvolution(x: Node, filter: Node, window: Window): Node {
  const block = blockSize();
  const [height, width, inputs, outputs] = filter.shape as [number, number, number, number];
  const across = outputs / block;
  const rows = reshape(filter, [height * width * inputs * across, block]);
  const index = grid([
    steps(across, 1),
    steps(inputs / block, block * across),
    steps(height * width, inputs * across),
    steps(block, across),
  ]);
  return convolve(x, reshape(rowsAt(rows, index), [outputs, inputs, height, width]), window);
}

/** Whether the gradient by the input is itself a convolution: of dy, with the filter turned round. */
export function isBlockedInputGradient(window: Window): boolean {
  return window.strides.every((stride) => stride === 1) && paddings(turned(window)).every((cells) => cells >= 0);
}

/** dy [N, H', W', O], filter [height, width, I, O] → [N, H, W, I] */
export function blockedInputGradient(dy: Node, filter: Node, window: Window): Node {
  const block = blockSize();
  const [height, width, inputs, outputs] = filter.shape as [number, number, number, number];
  const taps = height * width;
  const pictures = reshape(filter, [taps, inputs, 1, outputs]);
  const reordered = operator("ReorderInput", [pictures], pictures, { domain });
  const rows = reshape(reordered, [(taps * inputs * outputs) / block, block]);
  const across = inputs / block;
  const backwards = steps(taps, across * outputs).toReversed();
  const index = grid([steps(across, outputs), steps(outputs / block, block), backwards, steps(block, 1)]);
  return convolve(dy, reshape(rowsAt(rows, index), [inputs, outputs, height, width]), turned(window));
}

/** The window that goes back: from the outputs to the inputs. */
function turned(window: Window): Window {
  const { sizes, dilations, before, inputs, outputs } = window;
  const first = sizes.map((size, side) => (size - 1) * dilations[side]! - before[side]!);
  const after = inputs.map(
    (length, side) => length + (sizes[side]! - 1) * dilations[side]! - outputs[side]! - first[side]!,
  );
  return { ...window, before: first, after, inputs: outputs, outputs: inputs };
}

const paddings = ({ before, after }: Window) => [...before, ...after];

/**
 * The gradient by the filter is a convolution too, of x with dy as the filter, where pictures and channels have changed
 * places. x [N, H, W, I], dy [N, H', W', O] → [height, width, I, O]
 */
export function blockedFilterGradient(x: Node, dy: Node, window: Window): Node {
  const block = blockSize();
  const [pictures, height, width, inputs] = x.shape as [number, number, number, number];
  const [, high, wide, outputs] = dy.shape as [number, number, number, number];

  // Rows of B pictures each, and the picture with its padding as a choice of them.
  const cells = height * width * inputs;
  const asChannels = reshape(x, [1, pictures, 1, cells]);
  const rows = reshape(operator("ReorderInput", [asChannels], asChannels, { domain }), [
    (pictures / block) * cells,
    block,
  ]);
  const none = (pictures / block) * cells;
  const padded = [paddedSide(window, 0, width * inputs, none), paddedSide(window, 1, inputs, none)];
  const places = grid([steps(inputs, 1), steps(pictures / block, cells), ...padded], none);
  const image = reshape(rowsAt(withRow(rows), places), [inputs, pictures, ...padded.map(({ length }) => length)]);

  const across = outputs / block;
  const index = grid([
    steps(across, 1),
    steps(pictures / block, block * high * wide * across),
    steps(high * wide, across),
    steps(block, high * wide * across),
  ]);
  const filter = reshape(rowsAt(reshape(dy, [pictures * high * wide * across, block]), index), [
    outputs,
    pictures,
    high,
    wide,
  ]);

  const attributes = {
    kernel_shape: big([high, wide]),
    strides: big(window.dilations),
    dilations: big(window.strides),
  };
  const shape = [inputs, outputs, ...window.sizes];
  const blocks = operator("Conv", [image, filter], { type: x.type, shape }, { domain, ...attributes });
  return transpose(lastChannels(blocks), [1, 2, 0, 3]);
}

function convolve(x: Node, filter: Node, window: Window): Node {
  const [batch, height, width, channels] = x.shape as [number, number, number, number];
  const first = { type: x.type, shape: [batch, channels, height, width] };
  const blocks = operator("ReorderInput", [x], first, { domain, channels_last: 1n });
  const output = { type: x.type, shape: [batch, filter.shape[0]!, ...window.outputs] };
  return lastChannels(operator("Conv", [blocks, filter], output, { domain, ...windowAttributes(window) }));
}

/** Blocks [N, C, H, W] → [N, H, W, C] */
export function lastChannels(blocks: Node): Node {
  const [batch, channels, height, width] = blocks.shape as [number, number, number, number];
  const output = { type: blocks.type, shape: [batch, height, width, channels] };
  return operator("ReorderOutput", [blocks], output, { domain, channels: BigInt(channels), channels_last: 1n });
}
