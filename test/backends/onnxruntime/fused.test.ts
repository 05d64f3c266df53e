import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, test } from "vitest";
import { gelu, groupNorm, layerNorm, quickGelu, scaledDotProductAttention, silu } from "../../../src/ops/index.ts";
import { registerGradients } from "../../../src/training/gradients.ts";
import { errorAgainstCpu } from "../../helpers/on-both.ts";

// On "cpu" each of these is a composition of tfjs's operations, and tfjs has their gradients.
const tolerance = 1e-6;

beforeAll(registerGradients);

type Operation = (...inputs: tf.Tensor[]) => tf.Tensor;

/** The result, and the gradients by every input of its sum, weighted with the last input. */
async function expectEqual(operation: Operation, shapes: number[][], outShape: number[]): Promise<void> {
  expect(await errorAgainstCpu(shapes, operation), "forward").toBeLessThan(tolerance);
  for (const index of shapes.keys()) {
    const gradient = (...inputs: tf.Tensor[]) => tf.grads(operation)(inputs.slice(0, -1), inputs.at(-1)!)[index]!;
    const error = await errorAgainstCpu([...shapes, outShape], gradient);
    expect(error, `gradient by input ${index}`).toBeLessThan(5 * tolerance);
  }
}

test.each([silu, gelu, quickGelu])("$name", async (activation) => {
  await expectEqual((x) => activation(tf.mul(x!, 8)), [[3, 4, 50]], [3, 4, 50]);
});

test.each([[[2, 5, 16]], [[6, 33]], [[1, 2, 3, 8]]])("layerNorm of %j", async (shape) => {
  const norm: Operation = (x, gain, bias) => layerNorm(x!, gain as tf.Tensor1D, bias as tf.Tensor1D, { eps: 1e-5 });
  const channels = [shape.at(-1)!];
  await expectEqual(norm, [shape, channels, channels], shape);
});

describe.each([[[2, 5, 4, 16]], [[1, 8, 8, 32]], [[3, 7, 8]], [[2, 16]]])("groupNorm of %j", (shape) => {
  test.each([1, 4, 8])("%i groups", async (groups) => {
    const norm: Operation = (x, gain, bias) =>
      groupNorm(x!, gain as tf.Tensor1D, bias as tf.Tensor1D, { groups, eps: 1e-2 });
    const channels = [shape.at(-1)!];
    await expectEqual(norm, [shape, channels, channels], shape);
  });
});

describe("scaledDotProductAttention", () => {
  const [batch, heads, queries, keys, channels] = [2, 3, 7, 5, 12];
  const biases = {
    none: undefined,
    "of keys": [batch, 1, 1, keys],
    "of pairs": [1, 1, queries, keys],
    "of heads": [1, heads, queries, keys],
    "of everything": [batch, heads, queries, keys],
  };
  test.each(Object.entries(biases))("bias: %s", async (_, biasShape) => {
    const attend: Operation = (q, k, v, bias) =>
      scaledDotProductAttention(q as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, {
        heads,
        bias: bias as tf.Tensor4D | undefined,
      });
    const q = [batch, queries, channels];
    const k = [batch, keys, channels];
    await expectEqual(attend, [q, k, k, ...(biasShape ? [biasShape] : [])], q);
  });

  test("a long row of keys", async () => {
    const attend = (q: tf.Tensor, k: tf.Tensor, v: tf.Tensor) =>
      scaledDotProductAttention(tf.mul(q, 9) as tf.Tensor3D, k as tf.Tensor3D, v as tf.Tensor3D, { heads: 2 });
    const shapes = [
      [1, 40, 16],
      [1, 700, 16],
      [1, 700, 16],
    ];
    expect(await errorAgainstCpu(shapes, attend as Operation)).toBeLessThan(tolerance);
  });

  test("hidden keys", async () => {
    const attend = (q: tf.Tensor, k: tf.Tensor) => {
      const bias = tf.tensor4d([0, 0, -3.4028234663852886e38, 0, -3.4028234663852886e38], [1, 1, 1, 5]);
      return scaledDotProductAttention(q as tf.Tensor3D, k as tf.Tensor3D, k as tf.Tensor3D, { heads: 2, bias });
    };
    expect(
      await errorAgainstCpu(
        [
          [1, 4, 8],
          [1, 5, 8],
        ],
        attend as Operation,
      ),
    ).toBeLessThan(tolerance);
  });
});
