import * as tf from "@tensorflow/tfjs-core";
import { cast, equal, ints, operator, reshape, scalar, sizeOf, transpose } from "../build.ts";
import { type Node, record } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { mostParts } from "./webgpu.ts";
import { concat, places, slice, take } from "./words.ts";

// The same numbers in another arrangement.

export const shapes: Kernels = {
  Reshape: ({ x, attrs }) => reshape(x, tf.util.inferFromImplicitShape(attrs.shape, sizeOf(x.shape))),
  ExpandDims: ({ x, attrs }) => {
    const rank = x.shape.length;
    tf.util.assert(attrs.dim >= -(rank + 1), () => `Axis must be in the interval [${-(rank + 1)}, ${rank}]`);
    const axis = attrs.dim < 0 ? attrs.dim + rank + 1 : attrs.dim;
    return reshape(x, [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
  },
  Transpose: ({ x, attrs }) => transpose(x, attrs.perm),
  Concat: ({ list, attrs }) => {
    const shapes = list.map(({ shape }) => shape as number[]);
    const axis = tf.util.parseAxisParam(attrs.axis, shapes[0]!)[0]!;
    tf.backend_util.assertParamsConsistent(shapes, axis);
    return concat(list, axis);
  },
  Pack: ({ list, attrs }) => {
    const [{ type, shape }, { axis }] = [list[0]!, attrs];
    const one = [...shape.slice(0, axis), 1, ...shape.slice(axis)];
    for (const x of list) {
      tf.util.assert(equal(x.shape, shape), () => `Tensors of shapes [${shape}] and [${x.shape}] can't be stacked.`);
      tf.util.assert(x.type === type, () => `Tensors of types ${type} and ${x.type} can't be stacked.`);
    }
    const parts = list.map((x) => reshape(x, one));
    return concat(parts, axis);
  },
  Unpack: ({ x, attrs }) => {
    const axis = attrs.axis < 0 ? attrs.axis + x.shape.length : attrs.axis;
    const shape = x.shape.filter((_, i) => i !== axis);
    return split(x, Array(x.shape[axis]!).fill(1), axis).map((part) => reshape(part, shape));
  },
  SplitV: ({ x, attrs }) => {
    const axis = tf.util.parseAxisParam(attrs.axis, x.shape as number[])[0]!;
    const sizes = tf.backend_util.prepareSplitSize({ shape: x.shape } as tf.Tensor, attrs.numOrSizeSplits, axis);
    return split(x, sizes, axis);
  },
  Slice: ({ x, attrs }) => part(x, attrs.begin, attrs.size),
  StridedSlice: ({ x, attrs }) => {
    const { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attrs;
    const masks = [beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] as const;
    const info = tf.slice_util.sliceInfo(x.shape as number[], attrs.begin, attrs.end, attrs.strides, ...masks);
    const { begin, end, strides } = info;
    const shape = info.finalShape.map((length) => Math.max(0, length)); // tfjs gives −0 where nothing is left
    if (info.isIdentity) return reshape(x, shape);
    const size = tf.slice_util.computeOutShape(begin, end, strides).map((length) => Math.max(0, length));
    return reshape(slice(x, begin, size, strides), shape);
  },
  Reverse: ({ x, attrs }) => reverse(x, tf.util.parseAxisParam(attrs.dims, x.shape as number[])),
  FlipLeftRight: ({ inputs: { image } }) => reverse(image!, [2]),
  Tile: ({ x, attrs }) => {
    const shape = x.shape.map((length, i) => length * attrs.reps[i]);
    return operator("Tile", [x, ints(attrs.reps)], { type: x.type, shape });
  },
  PadV2: ({ x, attrs }) => pad(x, attrs.paddings, attrs.constantValue),
  MirrorPad: ({ x, attrs }) => {
    const paddings = attrs.paddings as [number, number][];
    return paddings.reduce((padded, [before, after], axis) => {
      if (before === 0 && after === 0) return padded;
      const length = x.shape[axis]!;
      const offset = attrs.mode === "reflect" ? 0 : 1;
      const mirrored = Array.from({ length: before + length + after }, (_, i) => {
        const place = i - before;
        if (place < 0) return -place - offset;
        return place < length ? place : 2 * (length - 1) - place + offset;
      });
      return take(padded, places(mirrored), axis);
    }, x);
  },
  SpaceToBatchND: ({ x, attrs }) => {
    const blocks = attrs.blockShape as number[];
    const none = Array.from({ length: x.shape.length - 1 - blocks.length }, (): [number, number] => [0, 0]);
    const padded = pad(x, [[0, 0], ...attrs.paddings, ...none], 0);
    const shape = padded.shape as number[];
    const blocked = reshape(padded, tf.backend_util.getReshaped(shape, blocks, sizeOf(blocks), false));
    const moved = transpose(blocked, tf.backend_util.getPermuted(blocked.shape.length, blocks.length, false));
    return reshape(moved, tf.backend_util.getReshapedPermuted(shape, blocks, sizeOf(blocks), false));
  },
  BatchToSpaceND: ({ x, attrs }) => {
    const blocks = attrs.blockShape as number[];
    const shape = x.shape as number[];
    const blocked = reshape(x, tf.backend_util.getReshaped(shape, blocks, sizeOf(blocks)));
    const moved = transpose(blocked, tf.backend_util.getPermuted(blocked.shape.length, blocks.length));
    const whole = reshape(moved, tf.backend_util.getReshapedPermuted(shape, blocks, sizeOf(blocks)));
    const begin = tf.backend_util.getSliceBeginCoords(attrs.crops, blocks.length);
    return part(whole, begin, tf.backend_util.getSliceSize(whole.shape as number[], attrs.crops, blocks.length));
  },
  DepthToSpace: ({ x, attrs }) => {
    const { blockSize, dataFormat } = attrs as { blockSize: number; dataFormat: "NHWC" | "NCHW" };
    if (dataFormat === "NHWC") return depthToSpace(x, blockSize);
    return transpose(depthToSpace(transpose(x, [0, 2, 3, 1]), blockSize), [0, 3, 1, 2]);
  },
};

/** As tfjs describes a part: what is not said of the last axes is all of them, and a size of −1 is the rest. */
function part(x: Node, from: number | number[], length: number | number[]): Node {
  const tensor = { shape: x.shape, rank: x.shape.length } as tf.Tensor;
  const [begin, size] = tf.slice_util.parseSliceParams(tensor, from, length) as [number[], number[]];
  tf.slice_util.assertParamsValid(tensor, begin, size);
  return slice(x, begin, size);
}

function parts(x: Node, sizes: readonly number[], axis: number): Node[] {
  let end = 0;
  return sizes.map((size) => {
    end += size;
    const begin = x.shape.map((_, i) => (i === axis ? end - size : 0));
    return slice(
      x,
      begin,
      x.shape.map((length, i) => (i === axis ? size : length)),
    );
  });
}

function split(x: Node, sizes: readonly number[], axis: number): Node[] {
  if (sizes.length === 1) return [x];
  if (sizes.length === 0) return [];
  const outputs = sizes.map((size) => ({
    type: x.type,
    shape: x.shape.map((length, i) => (i === axis ? size : length)),
  }));
  if (sizes.length > mostParts()) return parts(x, sizes, axis);
  return record("Split", [x, ints(sizes)], outputs, { axis: BigInt(axis) });
}

function reverse(x: Node, axes: readonly number[]): Node {
  if (axes.length === 0) return x;
  const begin = x.shape.map((length, i) => (axes.includes(i) ? length - 1 : 0));
  const strides = x.shape.map((_, i) => (axes.includes(i) ? -1 : 1));
  return slice(x, begin, x.shape, strides);
}

export function pad(x: Node, paddings: readonly [number, number][], value: number): Node {
  if (x.type === "bool") return cast(pad(cast(x, "int32"), paddings, value), "bool");
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return x;
  const shape = x.shape.map((length, i) => length + paddings[i]![0] + paddings[i]![1]);
  const pads = ints([...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)]);
  return operator("Pad", [x, pads, scalar(value, x.type)], { type: x.type, shape });
}

/** x [B, H, W, block² · C] → [B, H · block, W · block, C] */
function depthToSpace(x: Node, block: number): Node {
  const [batch, height, width, depth] = x.shape as [number, number, number, number];
  const channels = depth / block ** 2;
  const blocks = reshape(x, [batch, height, width, block, block, channels]);
  return reshape(transpose(blocks, [0, 1, 3, 2, 4, 5]), [batch, height * block, width * block, channels]);
}
