import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import "../../helpers/half-on-cpu.ts";
import { useBackend } from "../../../src/backends/index.ts";
import type { Call, Node } from "../../../src/backends/onnxruntime/graph.ts";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { groupNorm, layerNorm, scaledDotProductAttention } from "../../../src/ops/index.ts";
import { openPipeline } from "../../../src/pipelines/index.ts";
import { errorOf, halfModels } from "../../helpers/half-models.ts";

/** Every operator that was to be computed, as it was converted. */
const computed: Call[] = [];
vi.mock(import("../../../src/backends/onnxruntime/half.ts"), async (original) => {
  const { inHalf } = await original();
  return {
    inHalf: (calls) => {
      const halved = inHalf(calls);
      computed.push(...halved.calls);
      return halved;
    },
  };
});

const inHalf = { device: "webgpu", precision: "float16" } as const;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "half-arithmetic-"));
});
beforeEach(async () => {
  await useBackend("onnxruntime", inHalf);
  computed.length = 0;
});
afterAll(async () => {
  await useBackend("onnxruntime", {});
  await rm(folder, { recursive: true });
});

describe.each(halfModels)("the model $name", (model) => {
  // float16 rounds by up to 5e-4. The roundings of ten layers, of which some cancel, are to stay below ten of these; the same
  // weights in float32 arithmetic are within 5e-6.
  it("is as far from float32 as float16 is, and not nearer", async () => {
    const error = await errorOf(model, folder);
    expect(error).toBeLessThan(5e-3);
    expect(error).toBeGreaterThan(5e-5);
  });

  it("has its products in float16, and its sums in float32", async () => {
    await errorOf(model, folder);
    expect(typesOf(["Gemm", "Conv"])).toEqual(["float16"]);
    const statistics = ["ReduceMean", "LayerNormalization", "InstanceNormalization", "BatchNormalization"];
    expect(typesOf([...statistics, "Softmax", "Sqrt", "Reciprocal", "Sin", "Cos"])).toEqual(["float32"]);
  });

  it("casts no number twice, and widens no weight but gains and biases of norms", async () => {
    await errorOf(model, folder);
    const casts = computed.filter(({ type }) => type === "Cast");
    const made = casts.map((call) => call.inputs[0]);
    expect(new Set(made).size).toBe(made.length);
    const widened = casts.flatMap(({ inputs: [input] }) => (isWeight(input!) ? [input!.shape.length] : []));
    expect(widened.filter((rank) => rank > 1)).toEqual([]);
  });
});

/** The types of what some operators gave. */
function typesOf(operators: readonly string[]): string[] {
  const found = computed.filter(({ type }) => operators.includes(type)).flatMap(({ outputs }) => outputs);
  return [...new Set(found.map(({ type }) => type))];
}

function isWeight({ origin, type }: Node): boolean {
  return origin.kind !== "recorded" && type === "float16";
}

const ramp = (shape: number[], scale = 1) =>
  tf.mul(tf.reshape(tf.linspace(-1, 1, tf.util.sizeFromShape(shape)), shape), scale);

async function valuesOf(run: () => tf.Tensor): Promise<Float32Array> {
  const tensor = tf.tidy(run);
  const values = (await tensor.data()) as Float32Array;
  tensor.dispose();
  return values;
}

describe("what float16 can't hold stays in float32:", () => {
  /** What a function gives in float16 and in float32. */
  async function both(run: () => tf.Tensor): Promise<[half: Float32Array, single: Float32Array]> {
    const results: Float32Array[] = [];
    for (const options of [inHalf, { device: "cpu" } as const]) {
      await useBackend("onnxruntime", options);
      results.push(await valuesOf(run));
    }
    return results as [Float32Array, Float32Array];
  }

  function largestDifference(a: Float32Array, b: Float32Array): number {
    return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
  }

  it("the squares that norms add up, of numbers beyond 256", async () => {
    const channels = (value: number) => tf.fill([16], value) as tf.Tensor1D;
    const [half, single] = await both(() => {
      const h = tf.matMul(ramp([64, 16], 400) as tf.Tensor2D, tf.eye(16)); // float16
      const grouped = groupNorm(tf.reshape(h, [1, 8, 8, 16]), channels(1), channels(0), { groups: 4, eps: 1e-5 });
      return tf.add(tf.reshape(grouped, [64, 16]), layerNorm(h, channels(1), channels(0), { eps: 1e-5 }));
    });
    expect(largestDifference(half, single)).toBeLessThan(5e-3);
  });

  it("a number that is too small or too large for it", async () => {
    const [half, single] = await both(() => tf.mul(tf.mul(tf.matMul(ramp([4, 4]), ramp([4, 4])), 1e-6), 1e6));
    expect(largestDifference(half, single)).toBeLessThan(5e-3);
  });

  it("exponentials, powers, and sines of large numbers", async () => {
    const [half, single] = await both(() => {
      const h = tf.matMul(tf.fill([1, 1], 12), tf.ones([1, 1]));
      return tf.concat([tf.log(tf.exp(h)), tf.sqrt(tf.pow(h, 5)), tf.sin(tf.mul(tf.tensor2d([[999]]), 0.37))], 1);
    });
    expect(half[0]).toBe(12);
    expect(Math.abs(half[1]! / single[1]! - 1)).toBeLessThan(1e-6);
    expect(half[2]).toBe(single[2]);
  });
});

describe("long sums", () => {
  it.each([
    ["a product", () => tf.matMul(ramp([4, 1300]) as tf.Tensor2D, ramp([1300, 3]) as tf.Tensor2D), 3],
    ["one of transposed matrices", () => tf.matMul(ramp([1300, 4]), ramp([3, 1300]), true, true), 3],
    ["one of batches", () => tf.matMul(ramp([2, 4, 1300]), ramp([2, 3, 1300]), false, true), 3],
    [
      "a convolution",
      () => tf.conv2d(ramp([1, 5, 5, 150]) as tf.Tensor4D, ramp([3, 3, 150, 8]) as tf.Tensor4D, 1, 1),
      3,
    ],
  ])("of %s are had in parts", async (_, run, parts) => {
    const half = await valuesOf(run);
    const counts = computed.flatMap(({ type, inputs: [, b], attributes }) => {
      if (type === "Conv") return tf.util.sizeFromShape(b!.shape.slice(1));
      const axis = attributes.transB === 1n ? -1 : -2;
      return type === "Gemm" || type === "MatMul" ? b!.shape.at(axis)! : [];
    });
    expect(counts.length).toBe(parts);
    expect(Math.max(...counts)).toBeLessThanOrEqual(512);
    await useBackend("onnxruntime", {});
    const single = await valuesOf(run);
    const largest = Math.max(...single.map(Math.abs));
    for (const [i, value] of half.entries()) expect(Math.abs(value - single[i]!)).toBeLessThan(5e-3 * largest);
  });

  it("that can't be split, and those over a softmax, are float32", async () => {
    const wide = () => tf.conv2d(ramp([1, 24, 24, 2]) as tf.Tensor4D, ramp([24, 24, 2, 4]) as tf.Tensor4D, 1, "valid");
    const rows = (count: number) => ramp([1, count, 8]) as tf.Tensor3D;
    const attention = () => scaledDotProductAttention(rows(3), rows(40), rows(40), { heads: 2 });
    for (const run of [wide, attention]) await valuesOf(run);
    const types = computed
      .filter(({ type }) => ["Conv", "MatMul"].includes(type))
      .map(({ outputs }) => outputs[0]!.type);
    expect(types).toEqual(["float32", "float16", "float32"]);
  });
});

describe("between graphs", () => {
  it("numbers stay as wide as they were computed, and are read as float32", async () => {
    const backend = tf.backend() as OnnxRuntimeBackend;
    const [product, sum] = tf.tidy(() => [tf.matMul(ramp([3, 3]), ramp([3, 3])), tf.sum(ramp([9]))]);
    await backend.flush([product, sum]);
    expect(backend.node(product.dataId).origin).toMatchObject({ kind: "computed", isHalf: true });
    expect(backend.node(sum.dataId).origin).toMatchObject({ kind: "computed", isHalf: false });
    computed.length = 0;
    const doubled = tf.tidy(() => tf.relu(tf.mul(product, 2)));
    const values = await doubled.data();
    expect(values).toBeInstanceOf(Float32Array);
    expect(computed.map(({ type, outputs }) => [type, outputs[0]!.type])).toEqual([
      ["Cast", "float16"], // the 2
      ["Mul", "float16"],
      ["Relu", "float16"],
    ]);
    const read = await product.data();
    expect([...values]).toEqual([...read].map((value) => Math.max(0, 2 * value)));
    tf.dispose([product, sum, doubled]);
    expect((await backend.counts()).values).toBe(0);
  });
});

it("the tiny model's picture is nearly that of float32", async () => {
  const small = { prompt: "花", seed: 1, width: 64, height: 64, steps: 2, similarityCheck: false };
  const pictures: Uint8Array[] = [];
  for (const backendOptions of [inHalf, { device: "cpu" } as const]) {
    const pipeline = await openPipeline("weights/tiny", { backend: "onnxruntime", backendOptions });
    pictures.push((await pipeline.run(small)).images[0]!.data);
    await pipeline.dispose();
  }
  const [half, single] = pictures as [Uint8Array, Uint8Array];
  const differences = half.map((value, i) => Math.abs(value - single[i]!));
  expect(Math.max(...differences)).toBeGreaterThan(0);
  expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(2);
});
