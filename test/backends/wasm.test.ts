import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "../../src/backends/index.ts";
import { MemoryError } from "../../src/errors.ts";

beforeAll(() => useBackend("wasm"));

describe("the wasm backend", () => {
  it("says so where a tensor does not fit into its memory", () => {
    const before = tf.memory().numTensors;
    const tooMuch = () => tf.fill([2 ** 30 - 64], 1); // 4 GB
    expect(tooMuch).toThrow(MemoryError);
    expect(tooMuch).toThrow(/4 GB, which are all .* 32 bits\. .* another backend: onnxruntime/);
    expect(tf.memory().numTensors).toBe(before);
    expect(tf.fill([3], 2).dataSync()).toEqual(new Float32Array([2, 2, 2]));
  });

  it("convolves large pictures as it does small ones, and leaves the filter alone", () => {
    tf.tidy(() => {
      const x = tf.randomNormal<tf.Rank.R4>([1, 160, 130, 6], 0, 1, "float32", 1);
      const filter = tf.randomNormal<tf.Rank.R4>([3, 3, 6, 5], 0, 1, "float32", 2);
      const values = filter.dataSync();
      const dataIds = tf.backend().numDataIds();
      const whole = tf.conv2d(x, filter, 1, "valid"); // [1, 158, 128, 5]
      expect(tf.backend().numDataIds()).toBe(dataIds + 1);
      const halves = [0, 79].map((top) => tf.conv2d(tf.slice(x, [0, top, 0, 0], [1, 81, 130, 6]), filter, 1, "valid"));
      expect(whole.dataSync()).toEqual(tf.concat(halves, 1).dataSync());
      expect(filter.dataSync()).toEqual(values);
    });
  });
});
