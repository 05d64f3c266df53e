import * as tf from "@tensorflow/tfjs-core";
import { scalar } from "../build.ts";
import type { Node, Values } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import type { ElementType } from "../onnx.ts";
import { expand, fed } from "./words.ts";

// Tensors out of nothing. What they hold is fed, so that another value is no other graph.

export const creation: Kernels = {
  Fill: ({ attrs }) => {
    const { shape, value } = attrs as { shape: number[]; value: number };
    const dtype = attrs.dtype ?? tf.util.inferDtype(value);
    const one = filled(1, dtype, () => value);
    return expand(fed(one, dtype, []), shape);
  },
  ZerosLike: ({ x }) => expand(scalar(0, x.type), x.shape),
  OnesLike: ({ x }) => expand(scalar(1, x.type), x.shape),
  Range: ({ attrs }) => {
    const { start, stop, step, dtype } = attrs as { start: number; stop: number; step: number; dtype: ElementType };
    const isEmpty = start === stop || (start < stop && step < 0) || (stop < start && step > 1);
    const increment = stop < start && step === 1 ? -1 : step; // 1 is what it is when nobody has said
    return series(isEmpty ? 0 : Math.abs(Math.ceil((stop - start) / step)), start, increment, dtype);
  },
  LinSpace: ({ attrs }) => {
    const { start, stop, num } = attrs as { start: number; stop: number; num: number };
    return series(num, start, (stop - start) / (num - 1), "float32");
  },
};

function series(count: number, start: number, step: number, dtype: ElementType): Node {
  return fed(
    filled(count, dtype, (i) => start + i * step),
    dtype,
    [count],
  );
}

function filled(count: number, dtype: ElementType, value: (index: number) => number): Values {
  const values =
    dtype === "float32" ? new Float32Array(count) : dtype === "int32" ? new Int32Array(count) : new Uint8Array(count);
  return values.map((_, i) => value(i));
}
