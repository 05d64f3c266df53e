import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countParameters, disposeWeights, parameters, runStages } from "../../src/layers/index.ts";
import { ClipTextModel } from "../../src/models/clip-text.ts";
import { clipTextConfigFrom, clipVitL, openClipVitBigG, openClipVitH } from "../../src/models/clip-text-config.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectAccurateLayers, observedErrors } from "../helpers/observed.ts";
import { loadExpected, readConfig, readIds, readStructure, textErrors } from "../helpers/saved-model.ts";

// "clip" is pooled at its highest id, "clip_projection" at the first of its end tokens, which is not the highest.
describe.each([
  ["clip", 3],
  ["clip_projection", 2],
  ["clip_one_layer", 1],
])("%s", (folder, layers) => {
  let model: ClipTextModel;
  let expected: WeightSource;
  let ids: tf.Tensor2D;

  beforeAll(async () => {
    model = new ClipTextModel(clipTextConfigFrom(await readConfig(`text/${folder}`), `${folder}/config.json`));
    expected = await loadExpected(model, `text/${folder}`);
    ids = await readIds(expected);
  });
  afterAll(async () => {
    disposeWeights(model);
    await expected.close();
  });

  it("agrees with transformers layer by layer", async () => {
    const errors = await observedErrors(model, expected, () => tf.dispose(model.apply(ids)));
    expectAccurateLayers("text encoders, layer by layer", errors);
  });

  it("agrees with transformers, and leaves its three results and nothing else", async () => {
    const before = tf.memory().numTensors;
    const encoding = model.apply(ids);
    expect(tf.memory().numTensors).toBe(before + 3);
    for (const error of await textErrors(encoding, expected, "causal")) expectAccurate("text encoders", error);
  });

  it("runs in stages, one a layer", async () => {
    const before = tf.memory().numTensors;
    const stages: number[] = [];
    const encoding = await runStages(model.stages(ids), { onStage: (stage) => stages.push(stage) });
    expect(tf.memory().numTensors).toBe(before + 3);
    expect(stages).toHaveLength(layers);
    for (const error of await textErrors(encoding, expected, "causal")) expectAccurate("text encoders", error);
  });

  it("frees everything when it is aborted", async () => {
    const before = tf.memory().numTensors;
    const abort = new AbortController();
    const run = runStages(model.stages(ids), { signal: abort.signal, onStage: () => abort.abort() });
    await expect(run).rejects.toThrow("aborted");
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe.each([
  ["clip_vit_l", clipVitL, 123_060_480],
  ["open_clip_vit_h", openClipVitH, 340_387_840],
  ["open_clip_vit_big_g", openClipVitBigG, 694_659_840],
])("%s", (name, preset, count) => {
  it("has transformers' structure, and costs nothing to construct", async () => {
    const before = tf.memory().numTensors;
    const config = clipTextConfigFrom(await readConfig(`text/structure/${name}`), "config.json");
    expect(config).toEqual(preset);
    const model = new ClipTextModel(config);
    const names = [...parameters(model)].map(([path, { shape }]) => [path, ...shape].join(" "));
    expect(names.toSorted()).toEqual(await readStructure(`text/structure/${name}`));
    expect(countParameters(model)).toBe(count);
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("clipTextConfigFrom", () => {
  it("knows a projection by the class that was saved", () => {
    const json = { hidden_size: 1280, num_attention_heads: 20, projection_dim: 1280 };
    expect(clipTextConfigFrom(json, "config.json").projectionChannels).toBeUndefined();
    const saved = { ...json, architectures: ["CLIPTextModelWithProjection"] };
    expect(clipTextConfigFrom(saved, "config.json").projectionChannels).toBe(1280);
  });

  it("takes transformers' defaults for what is left out", () => {
    expect(clipTextConfigFrom({ model_type: "clip_text_model" }, "config.json")).toEqual({
      ...{ vocabSize: 49408, positions: 77, endToken: 49407, channels: 512, mlpChannels: 2048, layers: 12, heads: 8 },
      ...{ activation: "quick_gelu", eps: 1e-5 },
    });
  });

  it.each([
    [{ model_type: "siglip_text_model" }, /text_encoder\/config.json: .*"model_type" is "siglip_text_model"/],
    [{ hidden_act: "gelu_10" }, /"hidden_act" is "gelu_10"/],
    [{ use_attention_mask: true }, /"use_attention_mask" is not supported/],
    [{ num_attention_heads: 7 }, /"hidden_size" is 512, no multiple of "num_attention_heads", 7/],
    [{ layer_norm_eps: 0 }, /"layer_norm_eps"/],
    [[], /must hold a JSON object/],
  ])("refuses %j by name", (json, message) => {
    expect(() => clipTextConfigFrom(json, "text_encoder/config.json")).toThrow(message);
  });
});
