import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { disposeWeights, runStages } from "../../src/layers/index.ts";
import { ClipVisionModel } from "../../src/models/clip-vision.ts";
import { clipVisionConfigFrom } from "../../src/models/clip-vision-config.ts";
import { modelFrom } from "../../src/models/model-from.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { readTensor, relativeError } from "../helpers/expected.ts";
import { expectAccurateLayers, observedErrors } from "../helpers/observed.ts";
import { loadExpected, readConfig } from "../helpers/saved-model.ts";

describe.each(["clip", "clip_projection"])("%s", (folder) => {
  let model: ClipVisionModel;
  let expected: WeightSource;
  let pictures: tf.Tensor4D;

  beforeAll(async () => {
    model = new ClipVisionModel(clipVisionConfigFrom(await readConfig(`clip_vision/${folder}`), "config.json"));
    expected = await loadExpected(model, `clip_vision/${folder}`);
    pictures = (await readTensor(expected, "pictures", "nhwc")) as tf.Tensor4D;
  });
  afterAll(async () => {
    disposeWeights(model);
    await expected.close();
  });

  it("agrees with transformers layer by layer", async () => {
    const errors = await observedErrors(model, expected, () => tf.dispose(model.apply(pictures)));
    expectAccurateLayers("image towers, layer by layer", errors);
  });

  it("agrees with transformers, and leaves its two results and nothing else", async () => {
    const before = tf.memory().numTensors;
    const stages: number[] = [];
    const vision = await runStages(model.stages(pictures), { onStage: (n) => stages.push(n) });
    expect(tf.memory().numTensors).toBe(before + 2);
    expect(stages).toEqual([1, 2, 3]);
    const wanted = { last_hidden_state: vision.lastHiddenState, pooled: vision.pooled };
    for (const [name, output] of Object.entries(wanted)) {
      expectAccurate("image towers", await relativeError(output, await readTensor(expected, name)), name);
    }
    tf.dispose(vision);
  });

  it("refuses pictures of another size", () => {
    expect(() => model.apply(tf.zeros([1, 24, 32, 3]))).toThrow(InputError);
    expect(() => model.apply(tf.zeros([1, 24, 32, 3]))).toThrow("takes pictures of 24 × 24 pixels");
  });
});

describe("the config of an image tower", () => {
  const sizes = { hidden_size: 8, intermediate_size: 16, num_attention_heads: 2, image_size: 16, patch_size: 8 };

  it("has transformers' defaults", () => {
    const { channels, patch, imageSize, projectionChannels } = clipVisionConfigFrom({}, "config.json");
    expect({ channels, patch, imageSize, projectionChannels }).toEqual({ channels: 768, patch: 32, imageSize: 224 });
  });

  it("may stand in that of a whole CLIP, whose pictures' vectors are projected", () => {
    const whole = { vision_config: { ...sizes, projection_dim: 6 }, text_config: { hidden_size: 8 } };
    expect(clipVisionConfigFrom(whole, "config.json")).toMatchObject({ channels: 8, projectionChannels: 6 });
  });

  it("is told by its class", () => {
    const model = modelFrom("CLIPVisionModelWithProjection", sizes, "config.json") as ClipVisionModel;
    expect(model.visualProjection?.weight.shape).toEqual([512, 8]);
    expect((modelFrom("CLIPVisionModel", sizes, "config.json") as ClipVisionModel).visualProjection).toBeUndefined();
  });

  it.each([
    [{ num_attention_heads: 3 }, 'the field "hidden_size" is 8, no multiple of "num_attention_heads", 3'],
    [{ patch_size: 32 }, 'the field "patch_size" is 32, but "image_size" is only 16'],
    [{ model_type: "siglip_vision_model" }, '"model_type"'],
  ])("%o is refused", (change, message) => {
    const read = () => clipVisionConfigFrom({ ...sizes, ...change }, "a/config.json");
    expect(read).toThrow(ConfigError);
    expect(read).toThrow(message);
  });
});
