import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useBackend, weightBytes } from "../../../src/backends/index.ts";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { InputError, WeightsError } from "../../../src/errors.ts";
import { Conv2d, disposeWeights, GroupNorm, Layer, Linear, parameters } from "../../../src/layers/index.ts";
import {
  type Dtype,
  encodeSafetensors,
  fromFloat32,
  loadWeights,
  openSafetensors,
  type StoredTensor,
  toFloat32,
} from "../../../src/weights/index.ts";

// The roundings of `fromFloat32` are held against PyTorch's in test/weights/dtypes.test.ts.

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "precision-"));
});
afterAll(async () => {
  await useBackend("onnxruntime", {});
  await rm(folder, { recursive: true });
});

/** `width` 2560 makes it larger than 16 MiB in float16, so that its files are mapped. */
class Model extends Layer<[x: tf.Tensor4D], tf.Tensor> {
  conv = new Conv2d(16, 16, { kernel: 3, padding: 1 });
  norm = new GroupNorm(4, 16, { eps: 1e-5 });
  first: Linear;
  second: Linear;
  constructor(width: number) {
    super();
    this.first = new Linear(16, width);
    this.second = new Linear(width, width);
  }
  protected override forward(x: tf.Tensor4D): tf.Tensor {
    const h = tf.reshape(this.norm.apply(this.conv.apply(x)), [-1, 16]) as tf.Tensor2D;
    return this.second.apply(this.first.apply(h));
  }
}

function drawn(model: Model, dtype: Dtype, turn = (value: number) => value): Record<string, StoredTensor> {
  const tensors = [...parameters(model)].map(([name, { shape, size }], seed) => {
    const values = Float32Array.from({ length: size }, (_, i) => turn(Math.sin(i + 31 * seed) / 8));
    return [name, { dtype, shape, bytes: fromFloat32(values, dtype) }] as const;
  });
  return Object.fromEntries(tensors);
}

/** The numbers of each weight, and of a run. */
async function loaded(path: string, width: number) {
  const model = new Model(width);
  const source = await openSafetensors(path);
  await loadWeights(model, source);
  await source.close();
  const weights: Record<string, Float32Array> = {};
  for (const [name, { value }] of parameters(model)) weights[name] = (await value.data()) as Float32Array;
  const x = tf.tidy(() => tf.reshape(tf.linspace(-1, 1, 4 * 4 * 16), [1, 4, 4, 16])) as tf.Tensor4D;
  const y = model.apply(x);
  const result = await y.data();
  tf.dispose([x, y]);
  return { model, weights, result };
}

describe("the precision float16", () => {
  it.each([
    ["F32", 8],
    ["BF16", 8],
    ["F16", 8],
    ["F32", 3000],
    ["BF16", 3000],
    ["F16", 3000],
  ] as const)("of a file of %s, %i wide, is what the rounded weights are in float32", async (dtype, width) => {
    const [path, rounded] = [join(folder, `${dtype}-${width}`), join(folder, `${dtype}-${width}-rounded`)];
    const tensors = drawn(new Model(width), dtype);
    await writeFile(path, encodeSafetensors(tensors));
    const halves = Object.entries(tensors).map(([name, { shape, bytes }]) => {
      const half = toFloat32(fromFloat32(toFloat32(bytes, dtype), "F16"), "F16");
      return [name, { dtype: "F32", shape, bytes: fromFloat32(half, "F32") }] as const;
    });
    await writeFile(rounded, encodeSafetensors(Object.fromEntries(halves)));

    await useBackend("onnxruntime", { precision: "float32" });
    const expected = await loaded(rounded, width);
    disposeWeights(expected.model);
    await useBackend("onnxruntime", { precision: "float16" });
    const actual = await loaded(path, width);
    const differing = Object.entries(expected.weights).filter(
      ([name, { buffer }]) => Buffer.compare(Buffer.from(buffer), Buffer.from(actual.weights[name]!.buffer)) !== 0,
    );
    expect(differing.map(([name]) => name)).toEqual([]);
    let difference = 0;
    for (const [i, value] of expected.result.entries()) {
      difference = Math.max(difference, Math.abs(actual.result[i]! - value));
    }
    expect(difference).toBeLessThan(1e-5);
    const { values } = await (tf.backend() as OnnxRuntimeBackend).counts();
    expect(values > 0).toBe(dtype !== "F16" || width === 8); // a large file of float16 is mapped, not read
    disposeWeights(actual.model);
    expect((await (tf.backend() as OnnxRuntimeBackend).counts()).values).toBe(0);
  });

  it("refuses weights that are too large for it, by their name and file", async () => {
    const path = join(folder, "large");
    await writeFile(path, encodeSafetensors(drawn(new Model(8), "F32", (value) => 1e6 * value)));
    await useBackend("onnxruntime", { precision: "float16" });
    const error = await loaded(path, 8).catch((thrown) => thrown);
    expect(error).toBeInstanceOf(WeightsError);
    expect(error.message).toBe(
      `${path}: tensor "conv.weight" has values that float16 can't hold, of which 65504 is the largest. Use the precision "float32".`,
    );
  });

  it("is counted with 2 bytes a weight", async () => {
    await useBackend("onnxruntime", { precision: "float16" });
    expect(weightBytes("onnxruntime", [3, 5])).toBe(30);
    await useBackend("onnxruntime", { precision: "float32" });
    expect(weightBytes("onnxruntime", [3, 5])).toBe(60);
  });

  it("leaves what training assigns in float32", async () => {
    const path = join(folder, "trained");
    await writeFile(path, encodeSafetensors(drawn(new Model(8), "F32")));
    await useBackend("onnxruntime", { precision: "float16" });
    const { model } = await loaded(path, 8);
    const bias = model.first.bias!.value as tf.Variable;
    const before = await bias.data();
    tf.tidy(() => bias.assign(tf.add(bias, 1e-5)));
    for (const [i, value] of (await bias.data()).entries()) expect(value).toBe(Math.fround(before[i]! + 1e-5));
    disposeWeights(model);
  });

  it("is refused where there is none", async () => {
    await expect(useBackend("wasm", { precision: "float16" })).rejects.toThrow(
      new InputError('The backend "wasm" has no option "precision": only "onnxruntime" has options.'),
    );
    await expect(useBackend("onnxruntime", { device: "cuda", precision: "float16" })).rejects.toThrow(
      new InputError('The precision "float16" is for the devices "cpu" and "webgpu", not for "cuda".'),
    );
  });
});
