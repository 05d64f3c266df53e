import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { backendName, type OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { WeightsError } from "../../../src/errors.ts";
import { writeFileAtomically } from "../../../src/files.ts";
import { Conv2d, disposeWeights, Layer, Linear, parameters } from "../../../src/layers/index.ts";
import {
  type Dtype,
  encodeSafetensors,
  fromFloat32,
  loadWeights,
  openSafetensors,
  openWeights,
  type StoredTensor,
  saveWeights,
  type WeightSource,
} from "../../../src/weights/index.ts";

let backend: OnnxRuntimeBackend;
let folder: string;
beforeAll(async () => {
  await tf.setBackend(backendName);
  backend = tf.backend() as OnnxRuntimeBackend;
  folder = await mkdtemp(join(tmpdir(), "mapped-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** More than 16 MiB, so that it is mapped. */
const [wide, high] = [2048, 2560];

class Model extends Layer<[x: tf.Tensor4D], tf.Tensor> {
  convIn = new Conv2d(3, 4, { kernel: 3, padding: 1 });
  convOut = new Conv2d(4, 2, { kernel: 1 });
  large = new Linear(wide, high);
  small = new Linear(2, 3);
  protected override forward(x: tf.Tensor4D): tf.Tensor {
    return this.small.apply(this.convOut.apply(this.convIn.apply(x)));
  }
}

function drawn(shape: readonly number[], dtype: Dtype, seed: number): StoredTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = Float32Array.from({ length: size }, (_, i) => Math.sin(i + 31 * seed));
  return { dtype, shape, bytes: fromFloat32(values, dtype) };
}

function tensors(dtypes: readonly Dtype[]): Record<string, StoredTensor> {
  const names = [...parameters(new Model())].map(([name, { shape }], i) => {
    return [name, drawn(shape, dtypes[i % dtypes.length]!, i)] as const;
  });
  return Object.fromEntries(names);
}

async function loaded(source: WeightSource): Promise<Model> {
  const model = new Model();
  await loadWeights(model, source);
  await source.close();
  return model;
}

/** The same weights, read. */
async function readFrom(path: string): Promise<Model> {
  const { place: _, ...source } = await openSafetensors(path);
  return loaded(source);
}

/** A digest of each weight's bits. */
async function digests(model: Model): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const [name, { value }] of parameters(model)) {
    all[name] = createHash("sha256")
      .update(await value.data())
      .digest("hex");
  }
  return all;
}

async function run(model: Model): Promise<number[]> {
  const x = tf.tidy(() => tf.reshape(tf.linspace(-1, 1, 5 * 6 * 3), [1, 5, 6, 3])) as tf.Tensor4D;
  const y = model.apply(x);
  try {
    return [...(await y.data())];
  } finally {
    tf.dispose([x, y]);
  }
}

let tensorsBefore: number;
beforeEach(() => {
  tensorsBefore = tf.memory().numTensors;
});
afterEach(async () => {
  expect(tf.memory().numTensors).toBe(tensorsBefore);
  expect((await backend.counts()).values).toBe(0);
});

describe("weights in a file", () => {
  it.each([[["F32"]], [["F16"]], [["BF16"]], [["BF16", "F32", "F16", "F64"]]] as [Dtype[]][])(
    "of %s are the same as those that are read",
    async (dtypes) => {
      const path = join(folder, `${dtypes.join("-")}.safetensors`);
      await writeFile(path, encodeSafetensors(tensors(dtypes)));
      const [mapped, read] = [await loaded(await openSafetensors(path)), await readFrom(path)];
      expect(await digests(mapped)).toEqual(await digests(read));
      const expected = await run(read);
      for (const [i, value] of (await run(mapped)).entries()) expect(value).toBeCloseTo(expected[i]!, 4);
      disposeWeights(mapped);
      disposeWeights(read);
    },
  );

  it("are not read when they are loaded, and not copied when they are used", async () => {
    const path = join(folder, "unread.safetensors");
    await writeFile(path, encodeSafetensors(tensors(["F32"])));
    const source = await openSafetensors(path);
    const model = await loaded({ ...source, read: () => Promise.reject(new Error("It was read.")) });
    await run(model);
    expect((await backend.counts()).values).toBe(0);
    disposeWeights(model);
  });

  it("may lie in several files and folders, and behind links", async () => {
    const shards = join(folder, "shards");
    const [a, b] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"] as const;
    const entries = Object.entries(tensors(["F32"]));
    await mkdir(join(folder, "blobs", "deep"), { recursive: true });
    await mkdir(shards);
    await writeFile(join(folder, "blobs", "deep", "abc"), encodeSafetensors(Object.fromEntries(entries.slice(0, 3))));
    await writeFile(join(shards, b), encodeSafetensors(Object.fromEntries(entries.slice(3))));
    await symlink("../blobs/deep/abc", join(shards, a));
    const weight_map = Object.fromEntries(entries.map(([name], i) => [name, i < 3 ? a : b]));
    await writeFile(join(shards, "model.safetensors.index.json"), JSON.stringify({ weight_map }));
    const whole = join(folder, "whole.safetensors");
    await writeFile(whole, encodeSafetensors(Object.fromEntries(entries)));

    const [model, expected] = [await loaded(await openWeights(shards)), await readFrom(whole)];
    expect(await digests(model)).toEqual(await digests(expected));
    for (const [i, value] of (await run(expected)).entries()) expect((await run(model))[i]).toBeCloseTo(value, 4);
    disposeWeights(model);
    disposeWeights(expected);
  });

  it("can be saved, and what was made to read them is not kept", async () => {
    const [path, copy] = [join(folder, "saved.safetensors"), join(folder, "copy.safetensors")];
    await writeFile(path, encodeSafetensors(tensors(["F32"]), { format: "pt" }));
    const model = await loaded(await openSafetensors(path));
    const { sessions } = await backend.counts();
    await saveWeights(model, copy);
    expect((await backend.counts()).sessions).toBe(sessions);
    expect(Buffer.compare(await readFile(path), await readFile(copy))).toBe(0);
    disposeWeights(model);
  });

  it("are let go with the sessions that were made for them", async () => {
    const path = join(folder, "let-go.safetensors");
    await writeFile(path, encodeSafetensors(tensors(["F32"])));
    const { sessions } = await backend.counts();
    const model = await loaded(await openSafetensors(path));
    await run(model);
    expect((await backend.counts()).sessions).toBeGreaterThan(sessions);
    disposeWeights(model);
    expect((await backend.counts()).sessions).toBeLessThanOrEqual(sessions + 1); // that of the inputs
  });

  it("can be changed by training: the new ones are in memory, the file stays as it was", async () => {
    const path = join(folder, "trained.safetensors");
    const bytes = encodeSafetensors(tensors(["F32"]));
    await writeFile(path, bytes);
    const model = await loaded(await openSafetensors(path));
    const weight = model.small.weight.value as tf.Variable;
    const before = await weight.data();
    tf.tidy(() => weight.assign(tf.add(weight, 1)));
    const after = await weight.data();
    for (const [i, value] of before.entries()) expect(after[i]).toBeCloseTo(value + 1, 6);
    expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
    disposeWeights(model);
  });
});

describe("a file that is no longer as it was", () => {
  it.each([
    ["is gone", (path: string) => rm(path), "no longer there"],
    ["was cut short", (path: string) => truncate(path, 1000), "has changed"],
    ["was written again", (path: string) => utimes(path, 1, 1), "has changed"],
    ["was replaced", (path: string) => writeFileAtomically(path, "something else"), "has changed"],
  ])("%s: an error says so, before and after its first use", async (name, change, words) => {
    const path = join(folder, `${name}.safetensors`);
    const bytes = encodeSafetensors(tensors(["F32"]));
    await writeFile(path, bytes);
    const [used, unused] = [await loaded(await openSafetensors(path)), await loaded(await openSafetensors(path))];
    await run(used);
    await change(path);
    for (const model of [used, unused]) {
      const error = await run(model).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(WeightsError);
      expect(error.message).toContain(path);
      expect(error.message).toContain(words);
      disposeWeights(model);
    }
  });
});
