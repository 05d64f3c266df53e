import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.ts";
import {
  type Comparison,
  compareActivations,
  drawArguments,
  openSystem,
  type Runnable,
  readArguments,
  recordActivations,
  runnable,
  saveRecording,
} from "../../src/inspect/index.ts";
import { matcher } from "../../src/inspect/patterns.ts";
import { surroundingsIn } from "../../src/inspect/systems.ts";
import { disposeWeights, layers, parameters } from "../../src/layers/index.ts";
import { loadWeights, openSafetensors, openWeights, type WeightSource } from "../../src/weights/index.ts";
import { temporaryFolder } from "../helpers/cli.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

async function loaded(component: string): Promise<Runnable> {
  const system = await openSystem(expectedPath("recordings/system"));
  const source = await openWeights(system.folders[component]!);
  const model = system.models[component]!;
  await loadWeights(model, source);
  await source.close();
  return runnable(model, surroundingsIn(system));
}

async function compared(model: Runnable, component: string): Promise<Comparison> {
  const recording = await openExpected(`recordings/${component}.safetensors`);
  try {
    return await compareActivations(model, recording);
  } finally {
    await recording.close();
  }
}

// Measured: at most 1.1e-6.
const tolerance = 1e-5;

describe("activations against those recorded in Python", () => {
  it.each(["unet", "vae", "text_encoder", "text_encoder_2", "character_detector"])(
    "are equal in the %s",
    async (name) => {
      const model = await loaded(name);
      const before = tf.memory().numTensors;
      const { layers: errors } = await compared(model, name);
      for (const { path, error } of errors) expect(error, path).toBeLessThanOrEqual(tolerance);
      expect(tf.memory().numTensors).toBe(before);

      // Nothing was passed over but what Python does not record: lists of layers, and what is no module there.
      const paths = new Set(errors.map(({ path }) => path));
      const unseen = [...layers(model.model)].map(([path]) => path).filter((path) => path && !paths.has(path));
      expect(
        unseen.filter((path) => !/^(text_model\.|swin\.)?(encoder|embeddings)?$|^swin\.encoder/.test(path)),
      ).toEqual([]);
      disposeWeights(model.model);
    },
  );

  it.each([
    ["unet", "mid_block.attentions.0.transformer_blocks.1.attn2.to_k.weight"],
    ["unet", "up_blocks.1.resnets.0.norm2.bias"],
    ["vae", "encoder.mid_block.attentions.0.group_norm.weight"],
    ["text_encoder", "text_model.encoder.layers.1.self_attn.v_proj.bias"],
  ])("name the layer of the %s whose weight %s is wrong", async (component, wrong) => {
    const model = await loaded(component);
    const parameter = new Map(parameters(model.model)).get(wrong)!;
    parameter.assign(tf.add(parameter.value, 0.1));
    const { layers: errors } = await compared(model, component);
    const first = errors.find(({ error }) => error > tolerance)!;
    expect(first.path).toBe(wrong.slice(0, wrong.lastIndexOf(".")));
    expect(errors.at(-1)).toMatchObject({ path: component === "vae" ? expect.any(String) : "" });
    disposeWeights(model.model);
  });

  it("count as infinitely wrong where they are not numbers", async () => {
    const model = await loaded("text_encoder_2");
    const parameter = new Map(parameters(model.model)).get("text_projection.weight")!;
    parameter.assign(tf.mul(parameter.value, Number.NaN));
    const { layers: errors } = await compared(model, "text_encoder_2");
    expect(errors.find(({ error }) => error > tolerance)).toEqual({
      path: "text_projection",
      error: Number.POSITIVE_INFINITY,
      difference: Number.POSITIVE_INFINITY,
    });
    disposeWeights(model.model);
  });
});

async function readFlat(source: WeightSource, name: string): Promise<tf.Tensor> {
  return tf.reshape(await readTensor(source, name), [-1]);
}

describe("a recording of ours", () => {
  it("is read again, and equals what it was made from", async () => {
    const model = await loaded("unet");
    const recording = await openExpected("recordings/unet.safetensors");
    const inputs = await readArguments(recording);
    const wanted = matcher(["mid_block.*", "conv_out", ""]);
    const outputs = await recordActivations(model, inputs, { wanted });
    expect([...outputs.keys()].every(wanted)).toBe(true);
    expect(outputs.get("")!.shape).toEqual([1, 4, 4, 6]);
    expect(outputs.get("conv_out")).toEqual(outputs.get(""));

    const path = `${await temporaryFolder()}/ours.safetensors`;
    await saveRecording(path, { component: "unet", inputs, outputs });
    const ours = await openSafetensors(path);
    expect(ours.metadata).toMatchObject({ component: "unet" });
    for (const name of ours.entries.keys()) {
      // The same numbers in the same order, so Python can compare them. Where Python has tokens a map may be here.
      const [actual, wanted] = [await readFlat(ours, name), await readFlat(recording, name)];
      expect(await relativeError(actual, wanted), name).toBeLessThanOrEqual(tolerance);
    }
    const { layers: errors, unmatched } = await compareActivations(model, ours);
    expect(unmatched).toEqual([]);
    expect(errors.map(({ path, error }) => [path, error])).toEqual([...outputs.keys()].map((path) => [path, 0]));
    await ours.close();
    await recording.close();
    disposeWeights(model.model);
  });

  it.each(["unet", "vae", "text_encoder", "text_encoder_2", "character_detector"])(
    "of the %s can be drawn from a seed",
    async (name) => {
      const model = await loaded(name);
      const size = { width: 12, height: 8 };
      const [one, again, other] = [7, 7, 8].map((seed) => drawArguments(model.inputs(size), seed));
      expect(one).toEqual(again);
      expect(one).not.toEqual(other);
      const outputs = await recordActivations(model, one!);
      for (const { data } of outputs.values()) expect(data.every(Number.isFinite)).toBe(true);
      disposeWeights(model.model);
    },
  );

  it("takes no time after an abort", async () => {
    const model = await loaded("unet");
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    const running = recordActivations(model, drawArguments(model.inputs({ width: 12, height: 8 }), 0), {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error("enough")),
    });
    await expect(running).rejects.toThrow("enough");
    await new Promise((resolve) => setTimeout(resolve));
    expect(tf.memory().numTensors).toBe(before);
    disposeWeights(model.model);
  });
});

describe("arguments", () => {
  const one = (shape: number[], value = 0) => ({
    shape,
    data: new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(value),
  });

  it.each([
    [
      "that the model does not take",
      { input_ids: one([1, 16]), pixels: one([1]) },
      /no argument "pixels"; it takes input_ids/,
    ],
    ["that are no tokens of it", { input_ids: one([1, 16], 50) }, /"input_ids" must hold whole numbers from 0 to 49/],
    ["that are missing", { attention_mask: one([1, 16]) }, /needs an argument "input_ids"/],
  ])("%s are refused", async (_, values, message) => {
    const model = await loaded("text_encoder");
    const running = recordActivations(model, new Map(Object.entries(values)));
    await expect(running).rejects.toThrow(InputError);
    await expect(running).rejects.toThrow(message);
    disposeWeights(model.model);
  });

  it("must be in the file", async () => {
    const weights = await openWeights(expectedPath("recordings/system/unet"));
    await expect(readArguments(weights)).rejects.toThrow(/it is no recording/);
    await weights.close();
  });

  // The first layer's is noticed while the model runs on, and must not end the process.
  it.each([
    ["decoder.conv_in", /outputs\/decoder\.conv_in of shape \[1,3,8,8\].*\[1,2,2,\d+\]/],
    ["decoder", /outputs\/decoder of shape \[1,3,8,8\].*\[1,4,4,3\]/],
  ])("of another size than the recorded outputs' are noticed, of %s", async (path, message) => {
    const model = await loaded("vae");
    const before = tf.memory().numTensors;
    const inputs = new Map([["latents", one([1, 4, 2, 2])]]);
    const outputs = new Map([[path, one([1, 3, 8, 8])]]);
    const file = `${await temporaryFolder()}/other.safetensors`;
    await saveRecording(file, { component: "vae", inputs, outputs });
    const recording = await openSafetensors(file);
    await expect(compareActivations(model, recording)).rejects.toThrow(message);
    expect(tf.memory().numTensors).toBe(before);
    await recording.close();
    disposeWeights(model.model);
  });
});

describe("patterns", () => {
  it.each([
    ["*", "down_blocks.0.resnets.1", true],
    ["down_blocks.*", "down_blocks.0.resnets.1", true],
    ["down_blocks", "down_blocks.0", false],
    ["*.conv?", "down_blocks.0.resnets.1.conv1", true],
    ["*.conv?", "conv_in", false],
    ["a.b", "axb", false],
    ["(a|b)", "a", false],
  ])("%s and %s", (pattern, path, fits) => {
    expect(matcher([pattern])(path)).toBe(fits);
    expect(matcher(["nothing", pattern])(path)).toBe(fits);
  });
});
