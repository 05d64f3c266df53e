import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countParameters, disposeWeights, parameters, runStages } from "../../src/layers/index.ts";
import { SiglipTextModel, type TextMask } from "../../src/models/siglip-text.ts";
import { mitsuaJapaneseClip, siglipTextConfigFrom } from "../../src/models/siglip-text-config.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectAccurateLayers, observedErrors } from "../helpers/observed.ts";
import { loadExpected, readConfig, readIds, readStructure, textErrors } from "../helpers/saved-model.ts";

// "siglip" has the exact GELU and an eps of 1e-5, as Mitsua's; "siglip_defaults" has what transformers has by default.
describe.each(["siglip", "siglip_defaults"])("%s", (folder) => {
  let model: SiglipTextModel;
  let expected: WeightSource;
  let ids: tf.Tensor2D;
  let attentionMask: tf.Tensor2D;

  beforeAll(async () => {
    model = new SiglipTextModel(siglipTextConfigFrom(await readConfig(`text/${folder}`), `${folder}/config.json`));
    expected = await loadExpected(model, `text/${folder}`);
    ids = await readIds(expected);
    attentionMask = await readIds(expected, "attention_mask");
  });
  afterAll(async () => {
    disposeWeights(model);
    await expected.close();
  });

  it("agrees with transformers layer by layer", async () => {
    const errors = await observedErrors(model, expected, () => tf.dispose(model.apply(ids)));
    expectAccurateLayers("text encoders, layer by layer", errors);
  });

  it.each<TextMask>(["none", "padding", "causal"])("agrees with transformers under the mask %s", async (mask) => {
    for (const error of await textErrors(model.apply(ids, { mask, attentionMask }), expected, mask)) {
      expectAccurate("text encoders", error);
    }
  });

  it("sees every token where no mask is asked for", async () => {
    for (const error of await textErrors(model.apply(ids), expected, "none")) {
      expectAccurate("text encoders", error);
    }
  });

  it("gives something else under each mask, so that the tests above can fail", async () => {
    for (const [mask, other] of [
      ["none", "padding"],
      ["padding", "causal"],
      ["causal", "none"],
    ] as const) {
      for (const error of await textErrors(model.apply(ids, { mask, attentionMask }), expected, other)) {
        expect(error).toBeGreaterThan(1e-3);
      }
    }
  });

  it("leaves its three results and nothing else", async () => {
    for (const mask of ["none", "padding", "causal"] as const) {
      const before = tf.memory().numTensors;
      const encoding = model.apply(ids, { mask, attentionMask });
      expect(tf.memory().numTensors).toBe(before + 3);
      tf.dispose(encoding);

      const stages: number[] = [];
      const staged = await runStages(model.stages(ids, { mask, attentionMask }), { onStage: (n) => stages.push(n) });
      expect(tf.memory().numTensors).toBe(before + 3);
      expect(stages).toEqual([1, 2, 3]);
      for (const error of await textErrors(staged, expected, mask)) expectAccurate("text encoders", error);
      tf.dispose(staged);
    }
    expect(ids.isDisposed || attentionMask.isDisposed).toBe(false);
  });

  it("refuses more tokens than it has positions", () => {
    const before = tf.memory().numTensors;
    expect(() => model.apply(tf.zeros([1, 11], "int32"))).toThrow(/10 positions can't take 11 tokens/);
    expect(tf.memory().numTensors).toBe(before + 1);
  });

  it("refuses the mask of padding without a mask", () => {
    expect(() => model.apply(ids, { mask: "padding" })).toThrow(/attentionMask/);
  });
});

describe("Mitsua's text encoder", () => {
  it("has transformers' structure, and costs nothing to construct", async () => {
    const before = tf.memory().numTensors;
    const config = siglipTextConfigFrom(await readConfig("text/structure/mitsua_japanese_clip"), "config.json");
    expect(config).toEqual(mitsuaJapaneseClip);
    const model = new SiglipTextModel(config);
    expect(countParameters(model)).toBe(134_847_744);
    const names = [...parameters(model)].map(([name, { shape }]) => [name, ...shape].join(" "));
    expect(names.toSorted()).toEqual(await readStructure("text/structure/mitsua_japanese_clip"));
    expect(tf.memory().numTensors).toBe(before);
  });

  it("is found in the configuration of the whole CLIP, where keys left out are the defaults", () => {
    const text = { model_type: "siglip_text_model", vocab_size: 64000, bos_token_id: -1, eos_token_id: 1 };
    const json = {
      model_type: "mitsua_japanese_clip",
      projection_dim: 768,
      logit_scale_init_value: 2.6592,
      text_config: { ...text, hidden_act: "gelu", layer_norm_eps: 1e-5 },
      vision_config: { model_type: "clip_vision_model", patch_size: 16 },
    };
    expect(siglipTextConfigFrom(json, "config.json")).toEqual(mitsuaJapaneseClip);
  });

  it.each([
    [{ model_type: "clip_text_model" }, /text_encoder\/config.json: .*"model_type" is "clip_text_model"/],
    [{ hidden_act: "gelu_10" }, /"hidden_act" is "gelu_10"/],
    [{ hidden_size: 770 }, /"hidden_size" is 770, no multiple of "num_attention_heads", 12/],
    [{ num_hidden_layers: 1e9 }, /"num_hidden_layers"/],
    [{ pruned_heads: { "0": [1] } }, /pruned_heads/],
    [{ rope_theta: 10000 }, /"rope_theta" is not supported/],
    [{ text_config: { vocab_size: "64000" } }, /text_encoder\/config.json, text_config: .*"vocab_size"/],
    [{ text_config: null }, /text_encoder\/config.json, text_config must hold a JSON object/],
    ["siglip", /must hold a JSON object/],
  ])("refuses %j by name", (json, message) => {
    expect(() => siglipTextConfigFrom(json, "text_encoder/config.json")).toThrow(message);
  });
});
