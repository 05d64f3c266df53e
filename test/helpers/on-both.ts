import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { expect } from "vitest";
import "../../src/backends/onnxruntime/index.ts";

type Run = (...inputs: tf.Tensor[]) => tf.Tensor | tf.Tensor[];

/** Numbers between -1 and 1, the same for the same shape and seed. */
export function numbers(shape: readonly number[], seed = 1): tf.Tensor {
  let state = seed * 7919 + 1;
  const values = Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  return tf.tensor(values, [...shape]);
}

/** The largest error, relative to the largest number, of what a function gives on our backend: tfjs's own "cpu" is right. */
export async function errorAgainstCpu(shapes: readonly (readonly number[])[], run: Run): Promise<number> {
  const results: { shape: number[]; dtype: string; values: ArrayLike<number> }[][] = [];
  for (const backend of ["cpu", "onnxruntime"]) {
    await tf.setBackend(backend);
    Object.assign(tf.backend(), { firstUse: false });
    const outputs = tf.tidy(() => [run(...shapes.map((shape, i) => numbers(shape, i + 1)))].flat());
    results.push(
      await Promise.all(outputs.map(async (y) => ({ shape: y.shape, dtype: y.dtype, values: await y.data() }))),
    );
    tf.dispose(outputs);
  }
  const [wanted, actual] = results as [(typeof results)[0], (typeof results)[0]];
  const described = (outputs: typeof wanted) => outputs.map(({ shape, dtype }) => ({ shape, dtype }));
  expect(described(actual)).toEqual(described(wanted));
  return Math.max(...wanted.map((y, i) => relativeError(actual[i]!.values, y.values)));
}

function relativeError(actual: ArrayLike<number>, wanted: ArrayLike<number>): number {
  expect(actual.length).toBe(wanted.length);
  let difference = 0;
  let magnitude = 0;
  for (let i = 0; i < wanted.length; i++) {
    const d = Math.abs(actual[i]! - wanted[i]!);
    if (!(d <= difference)) difference = d; // a NaN must not pass for equal
    magnitude = Math.max(magnitude, Math.abs(wanted[i]!));
  }
  return difference === 0 ? 0 : difference / magnitude;
}
