import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { type BackendOptions, useBackend } from "../../../src/backends/index.ts";
import { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { disposeWeights } from "../../../src/layers/index.ts";
import { SwinForImageClassification } from "../../../src/models/swin.ts";
import { swinConfigFrom } from "../../../src/models/swin-config.ts";
import { openPipeline } from "../../../src/pipelines/index.ts";
import { loadWeights, openSafetensors } from "../../../src/weights/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../../helpers/expected.ts";
import { readConfig } from "../../helpers/saved-model.ts";

describe("options of the backend", () => {
  it.each([
    [{ device: "gpu" }, 'no device "gpu": it must be one of cpu, webgpu, cuda'],
    [{ precision: "int8" }, 'no precision "int8": it must be one of float32, float16'],
    [{ threads: 0 }, "no threads 0: it must be a whole number from 1 to 1024"],
    [{ threads: 1.5 }, "no threads 1.5"],
    [{ threads: "2" }, 'no threads "2"'],
    [{ toString: 1 }, 'no option "toString". It has device, precision, threads, maxSessions'],
  ])("that can't be are refused by name: %j", async (options, message) => {
    const refusal = { name: "InputError", message: expect.stringContaining(message) };
    expect(() => new OnnxRuntimeBackend(options as BackendOptions)).toThrow(expect.objectContaining(refusal));
    await expect(useBackend("onnxruntime", options as BackendOptions)).rejects.toMatchObject(refusal);
  });

  it("are refused by name where a backend has none", async () => {
    const refusal = (message: string) => ({ name: "InputError", message });
    await expect(useBackend("wasm", { threads: 2 })).rejects.toMatchObject(
      refusal('The backend "wasm" has no option "threads": only "onnxruntime" has options.'),
    );
    await useBackend("cpu", { threads: undefined });
  });
});

describe("the live backend", () => {
  it("stays where its options are given again, or none, and makes room for one with others", async () => {
    await useBackend("onnxruntime", { threads: 1 });
    const backend = tf.backend() as OnnxRuntimeBackend;
    expect(backend.options).toEqual({ threads: 1 });
    await useBackend("onnxruntime", { threads: 1, device: undefined });
    await useBackend("cpu");
    await useBackend("onnxruntime");
    expect(tf.backend()).toBe(backend);

    const x = tf.tidy(() => tf.add([1, 2], 1));
    await backend.flush([x]);
    await useBackend("onnxruntime", { threads: 2 });
    expect(tf.backend()).not.toBe(backend);
    await expect(x.data()).rejects.toThrow("The backend was removed");
    expect(await tf.tidy(() => tf.add([1, 2], 3)).data()).toEqual(Float32Array.of(4, 5));
  });

  it("stays where another can't be made", async () => {
    await useBackend("onnxruntime", { threads: 1 });
    const backend = tf.backend();
    await expect(useBackend("onnxruntime", { threads: -1 })).rejects.toThrow("no threads -1");
    expect(tf.backend()).toBe(backend);
  });

  it("can be removed, and be there again", async () => {
    await useBackend("onnxruntime", { threads: 2 });
    tf.removeBackend("onnxruntime");
    await useBackend("onnxruntime");
    expect((tf.backend() as OnnxRuntimeBackend).options).toEqual({});
  });
});

it("a pipeline reads its weights anew where its backend made room for another", async () => {
  const small = { prompt: "花", seed: 1, width: 64, height: 64, steps: 2, similarityCheck: false };
  const one = await openPipeline("weights/tiny", { backend: "onnxruntime", backendOptions: { threads: 1 } });
  const two = await openPipeline("weights/tiny", { backend: "onnxruntime", backendOptions: { threads: 2 } });
  const pictures = [];
  for (const pipeline of [one, two, one]) pictures.push((await pipeline.run(small)).images[0]!.data);
  expect(pictures[2]).toEqual(pictures[0]);
  await one.dispose();
  await two.dispose();
});

it.each([1, 2])("%i threads agree with transformers", async (threads) => {
  await useBackend("onnxruntime", { threads });
  const model = new SwinForImageClassification(swinConfigFrom(await readConfig("swin/window7"), "config.json"));
  const weights = await openSafetensors(expectedPath("swin/window7/model.safetensors"));
  await loadWeights(model, weights);
  const expected = await openExpected("swin/window7/size85x57.safetensors");
  const logits = model.apply((await readTensor(expected, "pictures", "nhwc")) as tf.Tensor4D);
  expect(await relativeError(logits, await readTensor(expected, "logits"))).toBeLessThan(1e-5);
  disposeWeights(model);
  await Promise.all([weights.close(), expected.close()]);
});
