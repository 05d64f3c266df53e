import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countParameters, disposeWeights, parameters, runStages } from "../../src/layers/index.ts";
import { SwinForImageClassification } from "../../src/models/swin.ts";
import { swinBase, swinConfigFrom } from "../../src/models/swin-config.ts";
import { loadWeights, openSafetensors } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { expectAccurateLayers, observedErrors } from "../helpers/observed.ts";
import { readConfig, readStructure } from "../helpers/saved-model.ts";

describe.each([
  // 14 × 14 patches in shifted windows of 7, then 7 × 7 in a single one; then sizes with padding in every way.
  ["window7", ["size56", "size60", "size64x52", "size85x57"], "sigmoid"],
  // Windows of an even side, one channel, no bias of q, k and v, another activation and eps, padding of the picture itself.
  ["window4", ["size23x19", "size32", "size16"], "softmax"],
  // Three stages.
  ["window3", ["size22x18"], "softmax"],
] as const)("%s", (folder, sizes, answer) => {
  let model: SwinForImageClassification;

  beforeAll(async () => {
    model = new SwinForImageClassification(swinConfigFrom(await readConfig(`swin/${folder}`), `${folder}/config.json`));
    const weights = await openSafetensors(expectedPath(`swin/${folder}/model.safetensors`));
    await loadWeights(model, weights);
    await weights.close();
  });
  afterAll(() => disposeWeights(model));

  it.each(sizes)("agrees with transformers at %s, layer by layer", async (size) => {
    const expected = await openExpected(`swin/${folder}/${size}.safetensors`);
    const pictures = (await readTensor(expected, "pictures", "nhwc")) as tf.Tensor4D;

    const errors = await observedErrors(model, expected, () => model.apply(pictures).dispose());
    // Of the other sizes only the blocks and stages were recorded.
    const recorded = size === sizes[0] ? errors : new Map([...errors].filter(([, error]) => !Number.isNaN(error)));
    expect(recorded.size).toBeGreaterThan(4);
    expectAccurateLayers("Swin classifier, layer by layer", recorded);

    const logits = model.apply(pictures);
    expectAccurate("Swin classifier", await relativeError(logits, await readTensor(expected, "logits")));
    const probabilities = await model.probabilities(logits);
    const wanted = (await (await readTensor(expected, answer)).array()) as number[][];
    expect(probabilities.map((byLabel) => Object.keys(byLabel))).toEqual(wanted.map(() => model.config.labels));
    for (const [i, byLabel] of probabilities.entries()) {
      const difference = Object.values(byLabel).map((p, j) => Math.abs(p - wanted[i]![j]!));
      expect(Math.max(...difference)).toBeLessThan(1e-5);
    }
    await expected.close();
  });

  it("leaves its result and nothing else, in one go and in stages", async () => {
    const { inChannels, stages } = model.config;
    const pictures = tf.randomNormal([1, 60, 60, inChannels]) as tf.Tensor4D;
    const before = tf.memory().numTensors;
    const logits = model.apply(pictures);
    expect(tf.memory().numTensors).toBe(before + 1);

    const seen: number[] = [];
    const staged = await runStages(model.stages(pictures), { onStage: (stage) => seen.push(stage) });
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(seen).toHaveLength(stages.reduce((sum, { depth }) => sum + depth, 0));
    expect(await relativeError(staged, logits)).toBe(0);

    const tensors = tf.memory().numTensors;
    await model.probabilities(logits);
    expect(tf.memory().numTensors).toBe(tensors);
  });
});

describe("Swin-B", () => {
  it("has transformers' structure, and costs nothing to construct", async () => {
    const before = tf.memory().numTensors;
    const config = swinConfigFrom(await readConfig("swin/structure/swin_base"), "config.json");
    expect(config).toEqual(swinBase);
    const model = new SwinForImageClassification(config);
    expect(countParameters(model)).toBe(87_768_224);
    const names = [...parameters(model)].map(([name, { shape }]) => [name, ...shape].join(" "));
    expect(names.toSorted()).toEqual(await readStructure("swin/structure/swin_base"));
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe("SwinForImageClassification", () => {
  // transformers fails on it too, in the middle: "The size of tensor a (16) must match the size of tensor b (49)".
  it("refuses a picture too small for its windows, and one of other channels", () => {
    const model = new SwinForImageClassification(swinBase);
    const small = tf.zeros<tf.Rank.R4>([1, 192, 224, 3]);
    expect(() => model.apply(small)).toThrow(/224 × 192 pixels is too small .* stage 4 would have 7 × 6 patches/);
    expect(() => model.apply(tf.zeros([1, 224, 224, 4]))).toThrow(/4 channels was given to a model of 3/);
  });

  it("gives a label that two classes share the likelier's probability", async () => {
    const model = new SwinForImageClassification({
      ...swinBase,
      labels: ["crane", "cat", "crane"],
      answer: "each label",
    });
    const [first, second] = await model.probabilities(tf.tensor2d([2, 0, -2, -2, 0, 2], [2, 3]));
    expect(first).toEqual(second);
    expect(first).toEqual({ crane: expect.closeTo(0.8807970779778823, 6), cat: expect.closeTo(0.5, 6) });
  });

  it("refuses probabilities that are no numbers", async () => {
    const model = new SwinForImageClassification({ ...swinBase, labels: ["a", "b"] });
    const before = tf.memory().numTensors;
    await expect(model.probabilities(tf.tensor2d([Number.NaN, 0], [1, 2]))).rejects.toThrow(/no number/);
    expect(tf.memory().numTensors).toBe(before + 1);
  });
});

describe("swinConfigFrom", () => {
  const read = (json: unknown) => swinConfigFrom(json, "classifier/config.json");

  it("takes transformers' defaults for what is left out", () => {
    expect(read({ model_type: "swin" })).toEqual({
      ...swinBase,
      channels: 96,
      stages: [
        { depth: 2, heads: 3 },
        { depth: 2, heads: 6 },
        { depth: 6, heads: 12 },
        { depth: 2, heads: 24 },
      ],
      labels: ["LABEL_0", "LABEL_1"],
    });
  });

  it("orders the labels by their keys", () => {
    const labels = Array.from({ length: 12 }, (_, i) => [`${11 - i}`, `label ${11 - i}`]);
    expect(read({ id2label: Object.fromEntries(labels) }).labels).toEqual(
      Array.from({ length: 12 }, (_, i) => `label ${i}`),
    );
  });

  it.each([
    [{ problem_type: "multi_label_classification" }, "each label"],
    [{ problem_type: "single_label_classification", num_labels: 1 }, "one label"],
    [{ problem_type: null, num_labels: 3 }, "one label"],
    [{ num_labels: 1 }, "each label"],
  ])("takes from %j how the labels are answered", (json, answer) => {
    expect(read(json).answer).toBe(answer);
  });

  it.each([
    [{ model_type: "swinv2" }, /classifier\/config.json: .*"model_type" is "swinv2"/],
    [{ use_absolute_embeddings: true }, /"use_absolute_embeddings" is true/],
    [{ window_size: [7, 7] }, /"window_size"/],
    [{ patch_size: [4, 2] }, /"patch_size" is \[4,2\], but only square/],
    [{ hidden_act: "mish" }, /"hidden_act" is "mish"/],
    [{ problem_type: "regression" }, /"problem_type" is "regression"/],
    [{ depths: [2, 2] }, /"num_heads" has 4 entries and "depths" 2/],
    [{ num_heads: [3, 6, 12, 25] }, /"num_heads" has 25 for stage 4, whose 768 channels/],
    [{ depths: [2, 2, 1e9, 2] }, /"depths.2"/],
    [{ id2label: {} }, /"id2label" is empty/],
    [{ id2label: { "0": "a", "2": "b" } }, /"id2label" has 2 labels, but none of the key "1"/],
    [{ id2label: { "0": "a", "01": "b" } }, /none of the key "1"/],
    [{ id2label: { "0": "a" }, num_labels: 3 }, /"id2label" has 1 labels, but "num_labels" is 3/],
    [{ id2label: { "0": 5 } }, /"id2label.0"/],
    [{ encoder_type: "x" }, /"encoder_type" is not supported/],
    [null, /must hold a JSON object/],
  ])("refuses %j by name", (json, message) => {
    expect(() => read(json)).toThrow(message);
  });
});
