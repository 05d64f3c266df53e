import { blockSize } from "../block-size.ts";
import { big, binary, callOf, equal, ints, operator, reshape, scalar, sizeOf, transpose, unary } from "../build.ts";
import { isConstant } from "../compile.ts";
import { leaf, type Node, recordingDevice } from "../graph.ts";
import { areBlocks, domain, lastChannels } from "./blocked.ts";
import { channelsLast, readPart, type Window, windowAttributes } from "./window.ts";

// A large picture stays in blocks of channels from one kernel to the next, where each knows how to work on them. So a
// decoder's residual blocks turn nothing round, and there are fewer large tensors, whose memory the system has to clear.

/** Cells from which a picture is large: it outgrows the caches. */
const largePicture = 2 ** 15;

/** Pictures [N, H, W, C] that were blocks [N, C, H, W], in the order that `blocked.ts` tells of. */
const made = new WeakSet<Node>();

/** The picture for what a kernel made in blocks. */
function pictureOf(blocks: Node): Node {
  const picture = lastChannels(blocks);
  made.add(picture);
  return picture;
}

/** The blocks behind a picture, while it is no more than they in another order. */
export function blocksBehind(picture: Node): Node | undefined {
  return made.has(picture) ? callOf(picture)?.inputs[0] : undefined;
}

/** Whatever works on each number by itself works on blocks as well. */
export function onBlocks(x: Node, run: (x: Node) => Node): Node {
  const blocks = blocksBehind(x);
  return blocks ? pictureOf(run(blocks)) : run(x);
}

/** The sum of pictures one of which is in blocks; undefined for other sums. */
export function sumInBlocks(a: Node, b: Node): Node | undefined {
  const blocks = blocksBehind(a);
  if (!blocks) return blocksBehind(b) && sumInBlocks(b, a);
  if (isConstant(b) && equal(b.shape, a.shape.slice(-1))) return pictureOf(withBias(blocks, b));
  return equal(a.shape, b.shape) ? pictureOf(binary("Add", blocks, inBlocks(b))) : undefined;
}

/** How a convolution in blocks that has no bias yet is written with one, by its output. */
const written = new WeakMap<Node, (bias: Node) => Node>();

/** A bias becomes part of its convolution. */
function withBias(blocks: Node, bias: Node): Node {
  const write = callOf(blocks) && written.get(blocks); // what is computed stays as it is
  return write ? write(bias) : affine(blocks, { scale: ones(blocks), shift: forPictures(bias, blocks) });
}

/** x [N, H, W, I], a constant filter [O, I, height, width] → [N, H', W', O]; undefined where blocks do not pay. */
export function lastingConvolution(x: Node, filter: Node, window: Window): Node | undefined {
  const [outputs, inputs] = filter.shape as [number, number];
  const isLarge = sizeOf(window.outputs) >= largePicture && readPart(x, window) === x;
  if (recordingDevice() !== "cpu" || !isLarge || x.type !== "float32" || !areBlocks(inputs, outputs)) return undefined;
  const smaller = isPlain(window) ? repeatedTwice(x) : undefined;
  const source = smaller ?? inBlocks(x);
  const write = (...bias: Node[]) =>
    smaller ? convolveTwice(source, filter, bias) : convolve(source, filter, window, bias);
  const blocks = write();
  written.set(blocks, write);
  return pictureOf(blocks);
}

/** blocks [N, I, H, W], filter [O, I, height, width], perhaps a bias [O] → [N, O, H', W'] */
function convolve(blocks: Node, filter: Node, window: Window, bias: readonly Node[]): Node {
  const output = { type: blocks.type, shape: [blocks.shape[0]!, filter.shape[0]!, ...window.outputs] };
  return operator("Conv", [blocks, filterInBlocks(filter), ...bias], output, { domain, ...windowAttributes(window) });
}

/** Whether it is 3 × 3 cells with one of padding. */
function isPlain({ sizes, strides, dilations, before, after }: Window): boolean {
  return equal([...sizes, ...strides, ...dilations, ...before, ...after], [3, 3, 1, 1, 1, 1, 1, 1, 1, 1]);
}

/** The blocks of which a picture has every cell twice along each side; undefined where it is something else. */
function repeatedTwice(x: Node): Node | undefined {
  const larger = blocksBehind(x) ?? callOf(x)?.inputs[0];
  const call = larger && callOf(larger);
  if (call?.type !== "Upsample" && call?.type !== "Resize") return undefined;
  const smaller = call.inputs[0]!;
  const [batch, channels, height, width] = smaller.shape as [number, number, number, number];
  if (!equal(larger!.shape, [batch, channels, 2 * height, 2 * width])) return undefined;
  return call.type === "Upsample" ? smaller : inBlocks(channelsLast(smaller));
}

/**
 * Of cells that are there twice along each side, a 3 × 3 filter sees 2 × 2 different ones. Which of its numbers fall on the same
 * cell depends on whether row and column are even: that makes four small filters, and 4/9 of the operations.
 */
function convolveTwice(blocks: Node, filter: Node, bias: readonly Node[]): Node {
  const [batch, inputs, height, width] = blocks.shape as [number, number, number, number];
  const outputs = filter.shape[0]!;
  const taps = reshape(filter, [outputs * inputs, 9]);
  const [sides, ones] = [
    [height, width],
    [1, 1],
  ];
  const cells = (odd: readonly [row: number, column: number]): Node => {
    const sums = operator("MatMul", [taps, tapSums(odd)], { type: filter.type, shape: [outputs * inputs, 4] });
    const before = odd.map((shift) => 1 - shift);
    const window = { sizes: [2, 2], strides: ones, dilations: ones, before, after: odd, inputs: sides, outputs: sides };
    return convolve(blocks, reshape(sums, [outputs, inputs, 2, 2]), window, bias);
  };
  const rows = ([0, 1] as const).map((odd) => alternating([cells([odd, 0]), cells([odd, 1])], blockSize()));
  return reshape(alternating(rows, 2 * width * blockSize()), [batch, outputs, 2 * height, 2 * width]);
}

/** Which of the nine numbers of a filter are added up for each of four: [9, 4]. */
function tapSums(odd: readonly [row: number, column: number]): Node {
  const place = (tap: number, shift: number) => Math.floor((tap + 1 + shift) / 2) - shift; // the first cell or the second
  const values = new Float32Array(9 * 4);
  for (let tap = 0; tap < 9; tap++) {
    values[4 * tap + 2 * place(Math.floor(tap / 3), odd[0]) + place(tap % 3, odd[1])] = 1;
  }
  return leaf("float32", [9, 4], { kind: "constant", values });
}

/** Runs of so many numbers, of each in turn. */
function alternating(nodes: readonly Node[], run: number): Node {
  const count = sizeOf(nodes[0]!.shape) / run;
  const runs = nodes.map((node) => reshape(node, [count, run]));
  return operator("Concat", runs, { type: "float32", shape: [count, run * nodes.length] }, { axis: 1n });
}

/** [O, I, height, width], in that order → [O / B, I / B, height, width, B of I, B of O], which ONNX Runtime does once. */
function filterInBlocks(filter: Node): Node {
  const block = blockSize();
  const [outputs, inputs, height, width] = filter.shape as [number, number, number, number];
  const parts = reshape(filter, [outputs / block, block, inputs / block, block, height * width]);
  return reshape(transpose(parts, [0, 2, 4, 3, 1]), filter.shape);
}

/** [N, H, W, C] → [N, C, H, W] in blocks */
function inBlocks(picture: Node): Node {
  const [batch, height, width, channels] = picture.shape as [number, number, number, number];
  const output = { type: picture.type, shape: [batch, channels, height, width] };
  return blocksBehind(picture) ?? operator("ReorderInput", [picture], output, { domain, channels_last: 1n });
}

/** Every cell of a picture in blocks repeated. */
export function repeatBlocks(blocks: Node, scaleY: number, scaleX: number): Node {
  const [batch, channels, height, width] = blocks.shape as [number, number, number, number];
  const output = { type: blocks.type, shape: [batch, channels, height * scaleY, width * scaleX] };
  const attributes = { domain, scales: big([1, 1, scaleY, scaleX]), mode: "nearest" };
  return pictureOf(operator("Upsample", [blocks], output, attributes));
}

interface Affine {
  /** What each channel of each picture is multiplied by, and what is added to it: [N, 1, 1, C]. */
  scale: Node;
  shift: Node;
}

function ones({ shape: [batch, channels] }: Node): Node {
  const values = new Float32Array(batch! * channels!).fill(1);
  return leaf("float32", [batch!, 1, 1, channels!], { kind: "constant", values });
}

/** The same numbers for each picture: [C] → [N, 1, 1, C] */
function forPictures(bias: Node, { shape: [batch, channels] }: Node): Node {
  const shape = [batch!, 1, 1, channels!];
  return operator("Expand", [bias, ints(shape)], { type: bias.type, shape });
}

/** Blocks times a scale, plus a shift, in one pass: a convolution of each channel by itself. */
function affine(blocks: Node, { scale, shift }: Affine): Node {
  const [batch, channels, height, width] = blocks.shape as [number, number, number, number];
  const all = batch * channels;
  const row = reshape(blocks, [1, all, height, width]); // the order is that of one picture with N · C channels
  const window = { kernel_shape: big([1, 1]), strides: big([1, 1]), dilations: big([1, 1]), pads: big([0, 0, 0, 0]) };
  const operands = [row, reshape(scale, [all, 1, 1, 1]), reshape(shift, [all])];
  return reshape(operator("Conv", operands, row, { domain, group: BigInt(all), ...window }), blocks.shape);
}

/** The mean of each channel of each picture, [N, 1, 1, C], by sums along one side at a time. */
function blockMeans(blocks: Node): Node {
  const block = blockSize();
  const [batch, channels, height, width] = blocks.shape as [number, number, number, number];
  const count = (batch * channels) / block;
  const columns = mean(reshape(blocks, [count, height, width * block]));
  return reshape(mean(reshape(columns, [count, width, block])), [batch, 1, 1, channels]);
}

/** [K, R, M] → [K, M] */
function mean(x: Node): Node {
  const shape = [x.shape[0]!, x.shape[2]!];
  return operator("ReduceMean", [x, ints([1])], { type: x.type, shape }, { keepdims: 0n });
}

interface GroupNorm {
  gain: Node;
  bias: Node;
  eps: number;
  /** From [N, 1, 1, C] to the mean over each channel's group. */
  groupMeans(means: Node): Node;
}

/** Group normalization of a picture in blocks. */
export function normalizeBlocks(blocks: Node, { gain, bias, eps, groupMeans }: GroupNorm): Node {
  const centre = groupMeans(blockMeans(blocks));
  const centred = affine(blocks, { scale: ones(blocks), shift: unary("Neg", centre) });
  const variance = groupMeans(blockMeans(binary("Mul", centred, centred)));
  const inverse = unary("Reciprocal", unary("Sqrt", binary("Add", variance, scalar(eps, "float32"))));
  return pictureOf(affine(centred, { scale: binary("Mul", inverse, gain), shift: forPictures(bias, blocks) }));
}
