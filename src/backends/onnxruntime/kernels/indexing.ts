import * as tf from "@tensorflow/tfjs-core";
import { binary, cast, ints, operator, reshape, scalar, sizeOf, transpose, unary } from "../build.ts";
import { type Node, record } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { choose, counting, expand, isNegative, take } from "./words.ts";

// Which numbers, is said by numbers.

export const indexing: Kernels = {
  GatherV2: ({ inputs: { x, indices }, attrs }) => {
    const axis = tf.util.parseAxisParam(attrs.axis, x!.shape as number[])[0]!;
    const places = cast(indices!, "int32");
    assertPlaces(places, x!.shape[axis]!);
    return attrs.batchDims === 0 ? take(x!, places, axis) : takeInBatches(x!, places, axis, attrs.batchDims);
  },
  GatherNd: ({ inputs: { params, indices } }) => {
    tf.gather_util.prepareAndValidate(infoOf(params!), infoOf(indices!));
    const depth = indices!.shape[indices!.shape.length - 1]!;
    const shape = [...indices!.shape.slice(0, -1), ...params!.shape.slice(depth)];
    return operator("GatherND", [params!, cast(indices!, "int64")], { type: params!.type, shape });
  },
  ScatterNd: ({ inputs: { indices, updates }, attrs }) =>
    scatter(expand(scalar(0, updates!.type), attrs.shape), indices!, updates!, "add"),
  TensorScatterUpdate: ({ inputs: { tensor, indices, updates } }) => scatter(tensor!, indices!, updates!),
  SparseToDense: ({ inputs: { sparseIndices, sparseValues, defaultValue }, attrs }) => {
    const shape = attrs.outputShape as number[];
    const rank = shape.length;
    const count = sizeOf(sparseIndices!.shape) / rank;
    const indices = reshape(sparseIndices!, [count, rank]);
    const background = expand(cast(defaultValue!, sparseValues!.type), shape);
    return scatter(background, indices, expand(sparseValues!, [count]));
  },
  OneHot: ({ inputs: { indices }, attrs }) => {
    const { depth, onValue, offValue, dtype } = attrs;
    const places = reshape(cast(indices!, "int32"), [...indices!.shape, 1]);
    const isOn = binary("Equal", places, counting(depth), "bool");
    return choose(isOn, scalar(onValue, dtype), scalar(offValue, dtype));
  },
  UnsortedSegmentSum: ({ inputs: { x, segmentIds }, attrs }) => segmentSum(x!, segmentIds!, attrs.numSegments),
  Bincount: ({ inputs: { x, weights }, attrs }) => countPlaces(x!, weights!, attrs.size),
  DenseBincount: ({ inputs: { x, weights }, attrs }) => {
    const { size, binaryOutput } = attrs as { size: number; binaryOutput: boolean };
    if (x!.shape.length === 1) return atMostOne(countPlaces(x!, weights!, size), binaryOutput);
    const [rows, columns] = x!.shape as [number, number];
    const first = reshape(binary("Mul", counting(rows), scalar(size, "int32")), [rows, 1]);
    const isIn = binary("Less", x!, scalar(size, "int32"), "bool");
    const places = choose(isIn, binary("Add", x!, first), scalar(rows * size, "int32"));
    const list = reshape(places, [rows * columns]);
    const ofEach = sizeOf(weights!.shape) === 0 ? weights! : reshape(weights!, [rows * columns]);
    return atMostOne(reshape(countPlaces(list, ofEach, rows * size), [rows, size]), binaryOutput);
  },
  TopK: ({ x, attrs }) => {
    const { k } = attrs as { k: number };
    const shape = [...x.shape.slice(0, -1), k];
    const outputs = [
      { type: x.type, shape },
      { type: "int64", shape },
    ] as const;
    const [values, places] = record("TopK", [x, ints([k])], outputs, { sorted: 1n }) as [Node, Node];
    return [values, cast(places, "int32")];
  },
  Diag: ({ x }) => {
    const size = sizeOf(x.shape);
    const isOnDiagonal = binary("Equal", reshape(counting(size), [size, 1]), counting(size), "bool");
    return reshape(choose(isOnDiagonal, reshape(x, [size]), scalar(0, x.type)), [...x.shape, ...x.shape]);
  },
  BroadcastArgs: ({ inputs: { s0, s1 } }) => {
    const rank = Math.max(s0!.shape[0]!, s1!.shape[0]!);
    const one = scalar(1, "int32");
    const filled = (lengths: Node) => {
      const missing = rank - lengths.shape[0]!;
      return missing === 0
        ? lengths
        : operator("Pad", [lengths, ints([missing, 0]), one], { type: "int32", shape: [rank] });
    };
    const [a, b] = [filled(s0!), filled(s1!)];
    return choose(binary("Equal", a, one, "bool"), b, a);
  },
};

const infoOf = ({ shape, type }: Node) => ({ shape, dtype: type }) as unknown as tf.TensorInfo;

/** What can be seen while recording is said at once; ONNX Runtime says the rest when it computes. */
function assertPlaces({ origin }: Node, length: number): void {
  if (!("values" in origin)) return;
  const wrong = origin.values?.find((place: number | bigint) => !(place >= 0 && place < length));
  tf.util.assert(wrong === undefined, () => `GatherV2: the index value ${wrong} is not in [0, ${length - 1}]`);
}

/** Of every batch its own places: the batches are laid one after another, and their places moved. */
function takeInBatches(x: Node, indices: Node, axis: number, batchDims: number): Node {
  const { batchSize, outerSize, dimSize, sliceSize, outputShape } =
    tf.backend_util.segment_util.collectGatherOpShapeInfo(
      { shape: x.shape, rank: x.shape.length } as tf.Tensor,
      { shape: indices.shape, rank: indices.shape.length } as tf.Tensor,
      axis,
      batchDims,
    );
  const count = sizeOf(indices.shape) / batchSize;
  const rows = transpose(reshape(x, [batchSize, outerSize, dimSize, sliceSize]), [0, 2, 1, 3]);
  const first = reshape(binary("Mul", counting(batchSize), scalar(dimSize, "int32")), [batchSize, 1]);
  const places = binary("Add", reshape(indices, [batchSize, count]), first);
  const taken = take(reshape(rows, [batchSize * dimSize, outerSize, sliceSize]), places, 0);
  return reshape(transpose(taken, [0, 2, 1, 3]), outputShape);
}

/** Puts updates into a tensor. A single update may stand for all. */
function scatter(tensor: Node, indices: Node, updates: Node, reduction?: "add"): Node {
  if (tensor.type === "bool") {
    return cast(scatter(cast(tensor, "int32"), indices, cast(updates, "int32"), reduction), "bool");
  }
  const isList = indices.shape.length < 2; // of places along the first axis
  const rows = isList ? reshape(indices, [sizeOf(indices.shape), 1]) : indices;
  const depth = rows.shape[rows.shape.length - 1]!;
  const ofEach = expand(updates, [...rows.shape.slice(0, -1), ...tensor.shape.slice(depth)]);
  return operator("ScatterND", [tensor, cast(rows, "int64"), ofEach], tensor, reduction ? { reduction } : {});
}

/** Sums of the rows that have the same number. Rows with a number that no segment has count as zeros. */
function segmentSum(x: Node, segments: Node, count: number): Node {
  const ids = cast(segments, "int32");
  const isBelow = binary("Less", ids, scalar(count, "int32"), "bool");
  const isSegment = binary("And", isBelow, unary("Not", isNegative(ids)), "bool");
  const rest = x.shape.slice(ids.shape.length);
  const rows = choose(reshape(isSegment, [...ids.shape, ...rest.map(() => 1)]), x, scalar(0, x.type));
  const places = choose(isSegment, ids, scalar(0, "int32"));
  return scatter(expand(scalar(0, x.type), [count, ...rest]), reshape(places, [...ids.shape, 1]), rows, "add");
}

/** How often each place is named, or the sum of its weights. */
function countPlaces(x: Node, weights: Node, size: number): Node {
  const ofEach = sizeOf(weights.shape) === 0 ? expand(scalar(1, weights.type), x.shape) : weights;
  return segmentSum(ofEach, x, size);
}

function atMostOne(counts: Node, isBinary: boolean): Node {
  if (!isBinary) return counts;
  return cast(binary("Greater", counts, scalar(0, counts.type), "bool"), counts.type);
}
