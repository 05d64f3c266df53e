import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { roll } from "../../src/ops/roll.ts";

// torch.roll(torch.arange(6).reshape(2, 3), shift, axis)
describe("roll", () => {
  it.each([
    [1, 1, [2, 0, 1, 5, 3, 4]],
    [-1, 1, [1, 2, 0, 4, 5, 3]],
    [-1, 0, [3, 4, 5, 0, 1, 2]],
    [3, 1, [0, 1, 2, 3, 4, 5]],
    [-4, 1, [1, 2, 0, 4, 5, 3]],
    [0, 0, [0, 1, 2, 3, 4, 5]],
  ])("by %i along axis %i", async (shift, axis, expected) => {
    const x = tf.tensor2d([0, 1, 2, 3, 4, 5], [2, 3]);
    const before = tf.memory().numTensors;
    const rolled = roll(x, shift, axis);
    expect([...(await rolled.data())]).toEqual(expected);
    expect(tf.memory().numTensors).toBe(before + 1);
    expect(x.isDisposed).toBe(false);
  });
});
