import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { activationNames, activations } from "../../src/ops/activations.ts";
import { openExpected, readTensor } from "../helpers/expected.ts";

// Absolute: all of them are near zero on the left, which a relative error of the whole would not see.
const tolerance = 1e-6;

describe("activations", () => {
  it.each(activationNames)("%s is transformers'", async (name) => {
    const expected = await openExpected("activations/activations.safetensors");
    const x = await readTensor(expected, "x");
    const before = tf.memory().numTensors;
    const y = activations[name](x);
    expect(tf.memory().numTensors).toBe(before + 1);

    const [actual, wanted] = [await y.data(), await (await readTensor(expected, name)).data()];
    expect(actual).toHaveLength(wanted.length);
    for (const [i, value] of actual.entries()) {
      expect(Math.abs(value - wanted[i]!)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted[i]!)));
    }
    await expected.close();
  });
});
