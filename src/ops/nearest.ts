import * as tf from "@tensorflow/tfjs-core";

/**
 * Which of `inLength` places each of `outLength` takes its value from, as PyTorch's `interpolate(mode="nearest")` has it:
 * ⌊i · in / out⌋ in the single precision of its kernels. 82 places of 2 begin their second half at 42.
 */
export function nearestSources(inLength: number, outLength: number): Int32Array {
  const scale = Math.fround(inLength / outLength);
  const source = (i: number) => Math.min(inLength - 1, Math.floor(Math.fround(i * scale)));
  return Int32Array.from({ length: outLength }, (_, i) => source(i));
}

/**
 * x [B, H, W, C] with every cell four times, [B, 2H, 2W, C]. Its gradient, the sum of each four, is written here: that of tfjs's
 * backend "cpu" is wrong where there is more than one picture.
 */
export function doubled(x: tf.Tensor4D): tf.Tensor4D {
  const [, height, width] = x.shape;
  const run = tf.customGrad((cells) => ({
    value: tf.image.resizeNearestNeighbor(cells as tf.Tensor4D, [2 * height, 2 * width]),
    gradFunc: (dy: tf.Tensor) => tf.mul(tf.avgPool(dy as tf.Tensor4D, 2, 2, "valid"), 4),
  }));
  return run(x) as tf.Tensor4D;
}
