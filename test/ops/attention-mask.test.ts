import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { causalBias, paddingBias } from "../../src/ops/attention-mask.ts";

const lowest = -3.4028234663852886e38; // torch.finfo(torch.float32).min

describe("causalBias", () => {
  it("hides what comes after", async () => {
    const bias = causalBias(3);
    expect(bias.shape).toEqual([1, 1, 3, 3]);
    expect([...(await bias.data())]).toEqual([0, lowest, lowest, 0, 0, lowest, 0, 0, 0]);
  });
});

describe("paddingBias", () => {
  it("hides what is masked, of each text", async () => {
    const mask = tf.tensor2d([1, 1, 0, 1, 0, 0], [2, 3], "int32");
    const before = tf.memory().numTensors;
    const bias = paddingBias(mask);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(bias.shape).toEqual([2, 1, 1, 3]);
    expect([...(await tf.abs(bias).data())]).toEqual([0, 0, -lowest, 0, -lowest, -lowest]);
    expect(await tf.all(tf.lessEqual(bias, 0)).data()).toEqual(Uint8Array.of(1));
  });
});
