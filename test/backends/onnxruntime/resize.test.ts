import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, test } from "vitest";
import { errorAgainstCpu, numbers } from "../../helpers/on-both.ts";

const tolerance = 1e-6;

const sizes: [number, number][] = [
  [10, 12],
  [15, 6],
  [3, 4],
  [7, 13],
  [5, 6],
  [1, 1],
];

describe.each([
  { alignCorners: false, halfPixelCenters: false },
  { alignCorners: true, halfPixelCenters: false },
  { alignCorners: false, halfPixelCenters: true },
])("%j", ({ alignCorners, halfPixelCenters }) => {
  const shape = [2, 5, 6, 3];

  describe.each(sizes)("to %i × %i", (...size) => {
    test.each(["resizeNearestNeighbor", "resizeBilinear"] as const)("%s", async (name) => {
      const run = (x: tf.Tensor) => tf.image[name](x as tf.Tensor4D, size, alignCorners, halfPixelCenters);
      expect(await errorAgainstCpu([shape], run as never)).toBeLessThan(tolerance);
    });

    // The gradient of a linear function is its transpose: ⟨dy, f(x)⟩ = ⟨fᵀ(dy), x⟩. tfjs's own gradients are wrong for more
    // than one picture, for pictures that are not square, and where cells have their positions at their centers.
    test.each(["ResizeNearestNeighbor", "ResizeBilinear"])("%sGrad", async (name) => {
      await tf.setBackend("onnxruntime");
      const [x, dy] = [numbers(shape), numbers([2, ...size, 3], 2)];
      const attrs = { alignCorners, halfPixelCenters, size };
      const y = tf.engine().runKernel(name, { images: x }, attrs) as tf.Tensor;
      const dx = tf.engine().runKernel(`${name}Grad`, { images: x, dy }, attrs) as tf.Tensor;
      const [[there], [back]] = await Promise.all([tf.sum(tf.mul(dy, y)).data(), tf.sum(tf.mul(dx, x)).data()]);
      expect(Math.abs(there! - back!)).toBeLessThan(1e-5);
    });
  });
});

test.each(["ResizeNearestNeighborGrad", "ResizeBilinearGrad"])("%s of one square picture", async (name) => {
  for (const alignCorners of [false, true]) {
    const run = (images: tf.Tensor, dy: tf.Tensor) =>
      tf.engine().runKernel(name, { images, dy }, { alignCorners, size: [7, 13] }) as tf.Tensor;
    expect(
      await errorAgainstCpu(
        [
          [1, 5, 5, 3],
          [1, 7, 13, 3],
        ],
        run as never,
      ),
    ).toBeLessThan(tolerance);
  }
});
