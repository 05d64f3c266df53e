import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import { Conv2d, Layer, Linear, Parameter, parameters } from "../../src/layers/index.ts";
import {
  type Dtype,
  decodeSafetensors,
  encodeSafetensors,
  fromFloat32,
  loadWeights,
  openSafetensors,
  type StoredTensor,
  saveWeights,
  toFloat32,
  type WeightSource,
} from "../../src/weights/index.ts";
import { permute } from "../../src/weights/permute.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "load-"));
});
afterAll(() => rm(folder, { recursive: true }));

class Model extends Layer {
  convIn = new Conv2d(2, 3, { kernel: 2 });
  blocks = [new Linear(3, 4), new Linear(4, 2, { bias: false })];
  scale = new Parameter([]);
  protected override forward(): tf.Tensor {
    return tf.scalar(0);
  }
}

function count(shape: readonly number[], dtype: Dtype = "F32", first = 0): StoredTensor {
  const size = shape.reduce((product, length) => product * length, 1);
  return {
    dtype,
    shape,
    bytes: fromFloat32(
      Float32Array.from({ length: size }, (_, i) => first + i),
      dtype,
    ),
  };
}

const fitting = (): Record<string, StoredTensor> => ({
  "conv_in.weight": count([3, 2, 2, 2]),
  "conv_in.bias": count([3], "F16", 1),
  "blocks.0.weight": count([4, 3], "BF16", 2),
  "blocks.0.bias": count([4], "F64", 3),
  "blocks.1.weight": count([2, 4]),
  scale: count([], "F32", 7),
});

/** 0, 1, 2, … in some shape, turned by tfjs. */
async function turned(shape: number[], axes: number[]): Promise<ArrayLike<number>> {
  const size = shape.reduce((a, b) => a * b);
  const tensor = tf.tidy(() => tf.transpose(tf.reshape(tf.range(0, size), shape), axes));
  const values = await tensor.data();
  tensor.dispose();
  return values;
}

/** A source in memory. */
function source(tensors: Record<string, StoredTensor>): WeightSource & { reads: number } {
  const decoded = decodeSafetensors(encodeSafetensors(tensors), "memory");
  const it = {
    path: "model.safetensors",
    metadata: {},
    entries: decoded,
    reads: 0,
    read: async (name: string, range?: { start: number; end: number }) => {
      it.reads++;
      return decoded.get(name)!.bytes.slice(range?.start, range?.end);
    },
    close: async () => {},
  };
  return it;
}

let tensorsBefore: number;
beforeEach(() => {
  tensorsBefore = tf.memory().numTensors;
});
const added = () => tf.memory().numTensors - tensorsBefore;
afterEach(() => tf.disposeVariables());

describe("loadWeights", () => {
  test("fills every parameter, filters turned from [out, in, h, w] to [h, w, in, out]", async () => {
    const model = new Model();
    await loadWeights(model, source(fitting()));
    const wanted = await turned([3, 2, 2, 2], [2, 3, 1, 0]);
    expect([...(await model.convIn.weight.value.data())]).toEqual(Array.from(wanted));
    expect([...(await model.convIn.bias!.value.data())]).toEqual([1, 2, 3]);
    expect([...(await model.blocks[0]!.weight.value.data())]).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    expect([...(await model.blocks[0]!.bias!.value.data())]).toEqual([3, 4, 5, 6]);
    expect([...(await model.scale.value.data())]).toEqual([7]);
    expect(added()).toBe(6);
  });

  test("can be called again, and then holds no more", async () => {
    const model = new Model();
    await loadWeights(model, source(fitting()));
    await loadWeights(model, source({ ...fitting(), scale: count([], "F32", 8) }));
    expect([...(await model.scale.value.data())]).toEqual([8]);
    expect(added()).toBe(6);
  });

  test("one error lists every difference, before anything is read", async () => {
    const { "conv_in.bias": bias, "blocks.1.weight": wrong, scale, ...rest } = fitting();
    const given = source({
      ...rest,
      "conv_in.bia": bias!,
      "blocks.1.weight": { ...wrong!, shape: [4, 2] },
      scale: { ...scale!, dtype: "I32" },
      "embeddings.position_ids": count([1, 4], "I64"),
      "swin.relative_position_index": count([1, 4], "I64"),
      "blocks.2.weight": count([1]),
    });
    const error = await loadWeights(new Model(), given).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(WeightsError);
    expect((error as Error).message).toBe(
      [
        "model.safetensors does not fit Model as its config.json describes it: 1 missing, 2 unexpected, 1 misshapen, 1 not weights. Take the configuration and the weights from the same model.",
        '  missing "conv_in.bias" [3] (did you mean "conv_in.bia"?)',
        '  misshapen "blocks.1.weight": the file has F32 [4,2], the model [2,4]',
        '  not weights "scale": the file has I32 [], the model takes floating point numbers',
        '  unexpected "blocks.2.weight" F32 [1]',
        '  unexpected "conv_in.bia" F16 [3]',
      ].join("\n"),
    );
    expect(given.reads).toBe(0);
    expect(added()).toBe(0);
  });

  test.each<[string, StoredTensor]>([
    ["NaN", { dtype: "F32", shape: [4, 3], bytes: fromFloat32(new Float32Array(12).fill(Number.NaN, 11), "F32") }],
    ["infinity", { dtype: "F16", shape: [4, 3], bytes: new Uint8Array(new Uint16Array(12).fill(0xfc00, 5, 6).buffer) }],
    [
      "a double beyond float32",
      { dtype: "F64", shape: [4, 3], bytes: new Uint8Array(new Float64Array(12).fill(1e200, 0, 1).buffer) },
    ],
  ])("refuses %s by the tensor's name and frees what was loaded", async (_, tensor) => {
    const model = new Model();
    await expect(loadWeights(model, source({ ...fitting(), "blocks.0.weight": tensor }))).rejects.toThrow(
      'model.safetensors: tensor "blocks.0.weight" has values that are infinite or not numbers.',
    );
    expect(added()).toBe(0);
    expect([...parameters(model)].some(([, parameter]) => parameter.isLoaded)).toBe(false);
  });

  test("ends with the signal's reason and frees what was loaded", async () => {
    const control = new AbortController();
    const onProgress = (done: number) => done > 100 && control.abort(new Error("enough"));
    await expect(loadWeights(new Model(), source(fitting()), { signal: control.signal, onProgress })).rejects.toThrow(
      "enough",
    );
    expect(added()).toBe(0);
  });

  test("tells its progress in bytes and lets the event loop turn", async () => {
    const progress: number[][] = [];
    let turns = 0;
    const timer = setInterval(() => turns++, 0);
    class Wide extends Layer {
      weight = new Parameter([3000, 3000]);
      protected override forward(): tf.Tensor {
        return tf.scalar(0);
      }
    }
    await loadWeights(new Wide(), source({ weight: count([3000, 3000]) }), {
      onProgress: (...now) => progress.push(now),
    });
    clearInterval(timer);
    expect(progress.map(([done]) => done)).toEqual(
      [4, 8, 12, 16, 20, 24, 28, 32].map((n) => n * 2 ** 20).concat(36_000_000),
    );
    expect(progress.every(([, total]) => total === 36_000_000)).toBe(true);
    expect(turns).toBeGreaterThanOrEqual(4);
  });
});

describe("permute", () => {
  test.each([
    [
      [3, 4, 2, 5],
      [2, 3, 1, 0],
    ],
    [
      [2, 3, 4],
      [1, 2, 0],
    ],
    [
      [2, 3],
      [1, 0],
    ],
    [
      [130, 3, 2, 2],
      [2, 3, 1, 0],
    ],
    [
      [2, 3, 4],
      [0, 1, 2],
    ],
    [
      [1, 3, 1, 2, 2],
      [4, 0, 2, 3, 1],
    ],
  ])("turns %j by %j as tf.transpose does", async (shape, axes) => {
    const size = shape.reduce((a, b) => a * b);
    const wanted = await turned(shape, axes);
    expect([
      ...permute(
        Float32Array.from({ length: size }, (_, i) => i),
        shape,
        axes,
      ),
    ]).toEqual(Array.from(wanted));
  });
});

describe("saveWeights", () => {
  test("writes what loadWeights read, in PyTorch's names and layout", async () => {
    const path = join(folder, "saved.safetensors");
    const model = new Model();
    await loadWeights(model, source(fitting()));
    await saveWeights(model, path);
    const saved = await openSafetensors(path);
    expect(saved.metadata).toEqual({ format: "pt" });
    for (const [name, { shape, bytes, dtype }] of Object.entries(fitting())) {
      expect(saved.entries.get(name)).toMatchObject({ shape, dtype: "F32" });
      expect([...toFloat32(await saved.read(name), "F32")]).toEqual([...toFloat32(bytes, dtype)]);
    }
    const again = new Model();
    await loadWeights(again, saved);
    await saved.close();
    expect([...(await again.convIn.weight.value.data())]).toEqual([...(await model.convIn.weight.value.data())]);
  });

  test("stores halves where asked, and refuses a weight that they can't hold", async () => {
    const model = new Model();
    await loadWeights(model, source(fitting()));
    const path = join(folder, "half.safetensors");
    await saveWeights(model, path, { dtype: "F16" });
    const saved = await openSafetensors(path);
    expect(saved.entries.get("blocks.0.bias")?.dtype).toBe("F16");
    await saved.close();
    model.scale.assign(tf.scalar(70000));
    const refused = join(folder, "refused.safetensors");
    await expect(saveWeights(model, refused, { dtype: "F16" })).rejects.toThrow(
      `${refused} is not written: tensor "scale" has values that F16 can't hold.`,
    );
    await writeFile(refused, ""); // the name is free
  });
});
