import { binary, ints, operator, reshape, scalar, transpose, unary } from "../build.ts";
import { type Node, recordingDevice } from "../graph.ts";
import { matMul } from "./matmul.ts";
import { concat, slice } from "./words.ts";

// What ONNX Runtime 1.30's kernels for WebGPU get wrong is asked of them in another way, which comes out the same elsewhere.

/**
 * x [N, sides, I] and a filter [O, I, sides], with channels of zeros behind where they would go three by three: of those WebGPU's
 * convolution makes a wrong sum (perhaps that of github.com/microsoft/onnxruntime/issues/29651).
 */
export function inFours(x: Node, filter: Node): [x: Node, filter: Node] {
  const [outputs, inputs] = filter.shape as [number, number];
  const isWrong = inputs > 3 && inputs % 3 === 0 && inputs % 4 !== 0 && outputs % 4 === 0;
  if (recordingDevice() !== "webgpu" || !isWrong) return [x, filter];
  const missing = 4 - (inputs % 4);
  return [withZeros(x, x.shape.length - 1, missing), withZeros(filter, 1, missing)];
}

function withZeros(x: Node, axis: number, count: number): Node {
  const before = x.shape.map(() => 0);
  const after = x.shape.map((_, i) => (i === axis ? count : 0));
  const shape = x.shape.map((length, i) => length + after[i]!);
  return operator("Pad", [x, ints([...before, ...after])], { type: x.type, shape });
}

/**
 * dy [N, H, W, C·M] and the filter [height, width, C, M] of a convolution of each channel by itself, in M parts whose gradients by
 * the input are to be added: where a channel has several outputs, WebGPU's convolution backwards is wrong.
 */
export function byMultiple(dy: Node, filter: Node): [dy: Node, filter: Node][] {
  const [batch, height, width] = dy.shape as [number, number, number];
  const [high, wide, channels, multiplier] = filter.shape as [number, number, number, number];
  if (recordingDevice() !== "webgpu" || multiplier === 1) return [[dy, filter]];
  const apart = reshape(dy, [batch, height, width, channels, multiplier]);
  return Array.from({ length: multiplier }, (_, m) => [
    reshape(slice(apart, [0, 0, 0, 0, m], [batch, height, width, channels, 1]), [batch, height, width, channels]),
    slice(filter, [0, 0, 0, m], [high, wide, channels, 1]),
  ]);
}

/** Parts that one operator can give: a GPU's program may have eight buffers, and one of them is what is split. */
export function mostParts(): number {
  return recordingDevice() === "webgpu" ? 7 : Number.POSITIVE_INFINITY;
}

/**
 * x less its mean along the last axis, before it is normalized. WebGPU takes the variance as the mean of the squares less the
 * square of the mean, which far from 0 leaves few digits.
 */
export function nearZero(x: Node): Node {
  if (recordingDevice() !== "webgpu") return x;
  const shape = [...x.shape.slice(0, -1), 1];
  const mean = operator("ReduceMean", [x, ints([-1])], { type: x.type, shape }, { keepdims: 1n });
  return binary("Sub", x, mean);
}

/** Bytes of scores that are made at a time: a GPU need not have larger buffers than 128 MiB. */
const scoreBytes = 64 * 2 ** 20;

/**
 * softmax(q kᵀ / √d + bias) v for each head, some rows of scores at a time. ONNX Runtime's own operator is wrong from 32 queries
 * on, on SwiftShader at least. q [B, N, heads·d], k and v [B, M, heads·d], a bias [1 or B, 1 or heads, N, M]
 */
export function attentionByRows(
  { q, k, v, bias }: { q: Node; k: Node; v: Node; bias: Node | undefined },
  heads: number,
): Node {
  const [batch, queries, channels] = q.shape as [number, number, number];
  const scaled = binary("Mul", q, scalar(1 / Math.sqrt(channels / heads), q.type));
  const [qs, ks, vs] = [byHeads(scaled, heads), byHeads(k, heads), byHeads(v, heads)];
  const rows = Math.max(1, Math.floor(scoreBytes / (4 * batch * heads * k.shape[1]!)));
  const results: Node[] = [];
  for (let start = 0; start < queries; start += rows) {
    const products = matMul(rowsOf(qs, start, rows), ks, { transposeB: true });
    const scores = bias ? binary("Add", products, rowsOf(bias, start, rows)) : products;
    results.push(matMul(unary("Softmax", scores, { axis: -1n }), vs));
  }
  return reshape(transpose(concat(results, 2), [0, 2, 1, 3]), [batch, queries, v.shape[2]!]);
}

/** [B, N, heads·d] → [B, heads, N, d] */
function byHeads(x: Node, heads: number): Node {
  const [batch, tokens, channels] = x.shape as [number, number, number];
  return transpose(reshape(x, [batch, tokens, heads, channels / heads]), [0, 2, 1, 3]);
}

/** Some of N. x [B, heads, N, …] */
function rowsOf(x: Node, start: number, count: number): Node {
  const begin = x.shape.map((_, axis) => (axis === 2 ? start : 0));
  const size = x.shape.map((length, axis) => (axis === 2 ? Math.min(count, length - start) : length));
  return slice(x, begin, size);
}
