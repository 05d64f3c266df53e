import * as tf from "@tensorflow/tfjs-core";

/** Zeros below and to the right of x [B, H, W, C], until both sides are multiples of `multiple`. */
export function padToMultiple(x: tf.Tensor4D, multiple: number): tf.Tensor4D {
  const [, height, width] = x.shape;
  const missing = (length: number) => (multiple - (length % multiple)) % multiple;
  const [bottom, right] = [missing(height), missing(width)];
  if (bottom + right === 0) return x;
  return tf.pad(x, [
    [0, 0],
    [0, bottom],
    [0, right],
    [0, 0],
  ]);
}
