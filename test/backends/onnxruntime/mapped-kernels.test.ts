import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { gelu, groupNorm, silu } from "../../../src/ops/index.ts";
import { errorAgainstCpu, numbers } from "../../helpers/on-both.ts";

// Where weights are in a file, kernels take other forms: ONNX Runtime can lay them out as it likes.

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "kernels-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** The same numbers on "cpu" in memory, and on our backend in a file. */
async function weight(shape: number[], seed: number): Promise<() => tf.Tensor> {
  const path = join(folder, `${shape}-${seed}`);
  await tf.setBackend("cpu");
  await writeFile(path, new Uint8Array((await numbers(shape, seed).data()).buffer));
  const { size, mtimeMs } = await stat(path);
  return () => {
    if (tf.getBackend() === "cpu") return numbers(shape, seed);
    const place = { path, offset: 0, length: size, fileSize: size, modified: mtimeMs };
    const info = (tf.backend() as OnnxRuntimeBackend).mapTensor(place, { dtype: "F32", shape })!;
    return tf.engine().makeTensorFromTensorInfo(info);
  };
}

test.each([
  { x: [1, 7, 6, 3], filter: [5, 3, 3, 3], stride: 1, pad: "same" },
  { x: [2, 8, 8, 32], filter: [48, 32, 3, 3], stride: 1, pad: "same" },
  { x: [2, 8, 8, 32], filter: [16, 32, 3, 3], stride: 2, pad: "valid" },
  { x: [2, 4, 5, 32], filter: [16, 32, 1, 1], stride: 1, pad: "same" },
] as const)("convolution %j, the filter as PyTorch has it", async ({ x, filter, stride, pad }) => {
  const [w, bias] = [await weight([...filter], 2), await weight([filter[0]], 3)];
  const run = (a: tf.Tensor) =>
    tf.add(tf.conv2d(a as tf.Tensor4D, tf.transpose(w(), [2, 3, 1, 0]) as tf.Tensor4D, stride, pad), bias());
  expect(await errorAgainstCpu([x], run)).toBeLessThan(2e-6);
});

test.each([
  [2, 6, 5, 32],
  [1, 96, 96, 32], // too many numbers in a group for one sum
])("group normalization of [%i, %i, %i, %i]", async (...shape) => {
  const [gain, bias] = [await weight([32], 2), await weight([32], 3)];
  const run = (x: tf.Tensor) => groupNorm(x, gain() as tf.Tensor1D, bias() as tf.Tensor1D, { groups: 4, eps: 1e-5 });
  expect(await errorAgainstCpu([shape], run)).toBeLessThan(1e-6);
});

test.each([[[2, 5, 16]], [[1, 7, 16]]])("a product of %j that is split", async (shape) => {
  const [w, bias] = [await weight([12, 16], 2), await weight([12], 3)];
  const project = (x: tf.Tensor) => {
    const rows = tf.add(tf.matMul(tf.reshape(x, [-1, 16]), w() as tf.Tensor2D, false, true), bias());
    return tf.reshape(rows, [...x.shape.slice(0, -1), 12]);
  };
  const gated = (x: tf.Tensor) => {
    const [value, gate] = tf.split(project(x), 2, 2) as [tf.Tensor, tf.Tensor];
    return tf.mul(value, gelu(gate));
  };
  expect(await errorAgainstCpu([shape], gated)).toBeLessThan(2e-6);
  const uneven = (x: tf.Tensor) => tf.split(project(x), [3, 4, 5], 2);
  expect(await errorAgainstCpu([shape], uneven)).toBeLessThan(2e-6);
  const both = (x: tf.Tensor) => {
    const y = project(x);
    return [y, ...tf.split(y, 2, 2)];
  };
  expect(await errorAgainstCpu([shape], both)).toBeLessThan(2e-6);
});

test("a row of layers between which nothing is turned", async () => {
  const filters = [await weight([32, 32, 3, 3], 2), await weight([32, 32, 3, 3], 3)];
  const [gain, bias] = [await weight([32], 4), await weight([32], 5)];
  const run = (x: tf.Tensor) => {
    let h = x as tf.Tensor4D;
    for (const filter of filters) {
      h = silu(groupNorm(h, gain() as tf.Tensor1D, bias() as tf.Tensor1D, { groups: 8, eps: 1e-5 }));
      h = tf.conv2d(h, tf.transpose(filter(), [2, 3, 1, 0]) as tf.Tensor4D, 1, "same");
    }
    return tf.add(h, tf.image.resizeNearestNeighbor(tf.image.resizeBilinear(h, [4, 4]), [8, 8]));
  };
  expect(await errorAgainstCpu([[2, 8, 8, 32]], run)).toBeLessThan(3e-6);
});

test("large pictures stay in blocks of channels", async () => {
  const filters = [await weight([32, 16, 3, 3], 2), await weight([16, 32, 3, 3], 3), await weight([16, 16, 1, 1], 4)];
  const [gain, bias] = [await weight([32], 5), await weight([32], 6)];
  const run = (x: tf.Tensor) => {
    const [first, second, shortcut] = filters.map((filter) => tf.transpose(filter(), [2, 3, 1, 0]) as tf.Tensor4D);
    const residual = tf.conv2d(x as tf.Tensor4D, shortcut!, 1, "same");
    let h = tf.add(tf.conv2d(x as tf.Tensor4D, first!, 1, "same"), bias()) as tf.Tensor4D;
    h = silu(groupNorm(h, gain() as tf.Tensor1D, bias() as tf.Tensor1D, { groups: 4, eps: 1e-5 }));
    h = tf.conv2d(h, second!, 1, "same");
    return [tf.add(residual, h), tf.add(h, tf.tensor1d([0.5])), tf.image.resizeNearestNeighbor(h, [182, 362])];
  };
  expect(await errorAgainstCpu([[2, 182, 181, 16]], run)).toBeLessThan(3e-6);
});

test("a convolution of cells that are there twice", async () => {
  const filters = [await weight([16, 32, 3, 3], 2), await weight([16, 16, 3, 3], 3)];
  const biases = [await weight([16], 4), await weight([16], 5)];
  const run = (x: tf.Tensor) =>
    filters
      .map((filter) => tf.transpose(filter(), [2, 3, 1, 0]) as tf.Tensor4D)
      .reduce((h, filter, i) => {
        const larger = tf.image.resizeNearestNeighbor(h, [2 * h.shape[1], 2 * h.shape[2]]);
        return tf.add(tf.add(tf.conv2d(larger, filter, 1, "same"), biases[i]!()), biases[0]!()) as tf.Tensor4D;
      }, x as tf.Tensor4D);
  expect(await errorAgainstCpu([[1, 96, 90, 32]], run)).toBeLessThan(3e-6);
  expect(await errorAgainstCpu([[1, 93, 91, 32]], run)).toBeLessThan(3e-6);
});

test("blocks go on after the end of a stage, and can be read as a picture", async () => {
  const filter = await weight([128, 128, 3, 3], 2);
  const bias = await weight([128], 3);
  await tf.setBackend("onnxruntime");
  const backend = tf.backend() as OnnxRuntimeBackend;
  const beginning = () =>
    tf.tidy(() => {
      let h = tf.mul(numbers([1, 182, 181, 128]), 0.01) as tf.Tensor4D;
      for (let i = 0; i < 11; i++)
        h = tf.conv2d(tf.mul(h, 0.1) as tf.Tensor4D, tf.transpose(filter(), [2, 3, 1, 0]) as tf.Tensor4D, 1, "same");
      return h;
    });
  const going = (h: tf.Tensor4D) => tf.tidy(() => silu(tf.add(h, bias()) as tf.Tensor4D));
  const [h, staged] = [beginning(), beginning()];
  const wanted = [await h.data(), await going(h).data()];
  await backend.endStage([staged]);
  const after = going(staged);
  const actual = [await staged.data(), await after.data()];
  for (const [i, values] of actual.entries()) expect(Buffer.compare(bytesOf(values), bytesOf(wanted[i]!))).toBe(0);
  expect(wanted[1]!.some((value) => value > 0)).toBe(true);
  tf.dispose([h, staged, after]);
});

function bytesOf(values: Float32Array | Int32Array | Uint8Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
