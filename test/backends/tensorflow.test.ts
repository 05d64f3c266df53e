import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "../../src/backends/index.ts";
import { MemoryError, WeightsError } from "../../src/errors.ts";
import { Conv2d, Layer, Linear, type Parameter, parameters } from "../../src/layers/index.ts";
import { loadWeights, openSafetensors, saveWeights, type WeightSource } from "../../src/weights/index.ts";
import { compileSources } from "../helpers/compiled.ts";

const util = process.getBuiltinModule("node:util") as unknown as Record<string, unknown>;
const { isNullOrUndefined, isArray } = util;

/** Why there is no TensorFlow here; undefined where there is. */
const absence: string | undefined = await useBackend("tensorflow").then(
  () => undefined,
  (error: Error) => error.message,
);
const note = absence === undefined ? "" : ` (skipped: ${absence})`;

describe("without TensorFlow", () => {
  it.skipIf(!absence?.includes("not installed"))("this process stays as it is where it isn't installed", async () => {
    Object.assign(util, { isNullOrUndefined: undefined, isArray: undefined }); // as in Node 23
    await expect(useBackend("tensorflow")).rejects.toThrow("not installed");
    expect([util.isNullOrUndefined, util.isArray]).toEqual([undefined, undefined]);
    expect(process.env).not.toHaveProperty("TF_CPP_MIN_LOG_LEVEL");
  });

  it("this process stays as it is where another backend is used", async () => {
    Object.assign(util, { isNullOrUndefined: undefined, isArray: undefined });
    await useBackend("cpu");
    expect([util.isNullOrUndefined, util.isArray]).toEqual([undefined, undefined]);
  });

  afterAll(() => Object.assign(util, { isNullOrUndefined, isArray }));
});

/** Large enough that its weights are not read whatever the backend can: 17.7 MB in two bytes each. */
class Model extends Layer {
  conv = new Conv2d(64, 512, { kernel: 3 });
  linears = [new Linear(2000, 3000), new Linear(1600, 1600, { bias: false })];
  protected override forward(): tf.Tensor {
    return tf.scalar(0);
  }
}

interface TensorflowBackend extends tf.KernelBackend {
  tensorMap: tf.DataStorage<{ values: unknown }>;
  getNumOfTFTensors(): number;
}

describe.skipIf(absence !== undefined)(`the tensorflow backend${note}`, () => {
  let folder: string;
  let backend: TensorflowBackend;
  beforeAll(async () => {
    await useBackend("tensorflow");
    backend = tf.backend() as TensorflowBackend;
    folder = await mkdtemp(join(tmpdir(), "tensorflow-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  function randomModel(): Model {
    const model = new Model();
    for (const [, parameter] of parameters(model)) {
      parameter.assign(tf.randomNormal(parameter.valueShape, 0, 1, "float32", parameter.size));
    }
    return model;
  }

  function dispose(model: Model): void {
    for (const [, parameter] of parameters(model)) parameter.dispose();
  }

  async function bytesOf({ value }: Parameter): Promise<Buffer> {
    const { buffer } = (await value.data()) as Float32Array;
    return Buffer.from(buffer);
  }

  /** A source that counts what is read through it, and may say where its tensors lie. */
  function counting(source: WeightSource, { saysPlaces }: { saysPlaces: boolean }) {
    const counted = { bytes: 0 };
    const read: WeightSource["read"] = async (name, range) => {
      const bytes = await source.read(name, range);
      counted.bytes += bytes.length;
      return bytes;
    };
    const { path, entries, metadata } = source;
    const through: WeightSource = { path, entries, metadata, read, close: () => source.close() };
    return { counted, source: saysPlaces ? { ...through, place: (name: string) => source.place?.(name) } : through };
  }

  it.each(["F32", "F16", "BF16"] as const)("reads %s weights from their file as JavaScript would", async (dtype) => {
    const path = join(folder, `${dtype}.safetensors`);
    const saved = randomModel();
    await saveWeights(saved, path, { dtype });
    dispose(saved);

    const [direct, pieces] = [new Model(), new Model()];
    const handles = backend.getNumOfTFTensors();
    for (const [model, saysPlaces] of [
      [direct, true],
      [pieces, false],
    ] as const) {
      const file = await openSafetensors(path);
      const { counted, source } = counting(file, { saysPlaces });
      await loadWeights(model, source);
      await file.close();
      expect(counted.bytes > 0).toBe(!saysPlaces);
    }
    const wanted = new Map(parameters(pieces));
    for (const [name, parameter] of parameters(direct)) {
      const [actual, expected] = [await bytesOf(parameter), await bytesOf(wanted.get(name)!)];
      expect(actual.equals(expected), name).toBe(true); // toEqual would take a minute
    }
    for (const model of [direct, pieces]) dispose(model);
    expect(backend.getNumOfTFTensors()).toBe(handles);
  });

  it("names the tensor that has numbers which are not finite", async () => {
    const path = join(folder, "infinite.safetensors");
    const saved = randomModel();
    await saveWeights(saved, path);
    dispose(saved);
    const file = await openSafetensors(path);
    const { offset } = file.place!("linears.1.weight")!;
    const bytes = await readFile(path);
    bytes.writeFloatLE(Number.NEGATIVE_INFINITY, offset + 4 * 1000);
    await writeFile(path, bytes);
    await file.close();

    const before = [tf.memory().numTensors, backend.getNumOfTFTensors()];
    const damaged = await openSafetensors(path);
    const loading = loadWeights(new Model(), damaged);
    await expect(loading).rejects.toThrow(WeightsError);
    await expect(loading).rejects.toThrow(/"linears\.1\.weight" has values that are infinite or not numbers/);
    await damaged.close();
    expect([tf.memory().numTensors, backend.getNumOfTFTensors()]).toEqual(before);
  });

  it("does not touch a file that was cut short since it was opened", async () => {
    const path = join(folder, "short.safetensors");
    const saved = randomModel();
    await saveWeights(saved, path);
    dispose(saved);
    const file = await openSafetensors(path);
    await truncate(path, 5_000_000);
    await expect(loadWeights(new Model(), file)).rejects.toThrow(WeightsError);
    await file.close();
  });

  it("hears an abort while it loads, and frees what it has loaded", async () => {
    const path = join(folder, "aborted.safetensors");
    const saved = randomModel();
    await saveWeights(saved, path);
    dispose(saved);
    const file = await openSafetensors(path);
    const before = [tf.memory().numTensors, backend.getNumOfTFTensors()];
    const controller = new AbortController();
    let told = 0;
    const onProgress = () => ++told === 2 && controller.abort(new Error("no more"));
    const loading = loadWeights(new Model(), file, { signal: controller.signal, onProgress });
    await expect(loading).rejects.toThrow("no more");
    expect(told).toBe(2);
    expect([tf.memory().numTensors, backend.getNumOfTFTensors()]).toEqual(before);
    await file.close();
  });

  it("gives large arrays to TensorFlow at once", () => {
    const handles = backend.getNumOfTFTensors();
    const x = tf.tensor(new Float32Array(2 ** 18));
    expect(backend.tensorMap.get(x.dataId).values).toBeNull();
    x.dispose();
    expect(backend.getNumOfTFTensors()).toBe(handles);
  });

  it("says so where memory is short", () => {
    const before = tf.memory().numTensors;
    let error: unknown;
    try {
      tf.tidy(() => tf.add(tf.zeros([2 ** 21, 1]), tf.zeros([1, 2 ** 20]))); // 8 TB
    } catch (thrown) {
      error = thrown; // once: TensorFlow waits ten seconds for memory
    }
    expect(error).toBeInstanceOf(MemoryError);
    expect((error as Error).message).toMatch(
      /^TensorFlow finds no memory for a tensor of 2097152 × 1048576 numbers: try/,
    );
    expect(tf.memory().numTensors).toBe(before);
  });
});

/** What npm's package `node` has, where it is installed beside: `npm install --prefix out/newer-node node@24`. */
const newerNode = fileURLToPath(new URL("../../out/newer-node/node_modules/node/bin/node", import.meta.url));
const reason = absence ?? (existsSync(newerNode) ? undefined : `${newerNode} is not installed`);

describe.skipIf(reason !== undefined)(`in a newer Node${reason === undefined ? "" : ` (skipped: ${reason})`}`, () => {
  const script = `
    const [sources] = process.argv.slice(2);
    const util = process.getBuiltinModule("node:util");
    const lacked = util.isNullOrUndefined === undefined;
    const { selfTest } = await import(sources + "/backends/index.js");
    const { works, reason } = await selfTest("tensorflow");
    const tf = await import("@tensorflow/tfjs-core");
    const { values, indices } = tf.topk(tf.tensor1d([3, 1, 2]), 2); // calls a function that Node 23 removed
    const best = [await values.data(), await indices.data()].map((numbers) => [...numbers]);
    console.log(JSON.stringify({ major: Number.parseInt(process.versions.node), lacked, works, reason, best }));
  `;

  it("the tensorflow backend works", async () => {
    const { folder, remove } = await compileSources();
    try {
      const file = join(folder, "try.js");
      await writeFile(file, script);
      const { stdout } = await promisify(execFile)(newerNode, [file, pathToFileURL(folder).href]);
      const report = JSON.parse(stdout);
      expect(report).toMatchObject({
        lacked: true,
        works: true,
        best: [
          [3, 2],
          [0, 2],
        ],
      });
      expect(report.major).toBeGreaterThanOrEqual(23);
    } finally {
      await remove();
    }
  });
});
