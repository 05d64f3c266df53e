import * as tf from "@tensorflow/tfjs-core";

/** What stands in the bias of a place that must not be seen: the lowest float32, as in transformers. −∞ would make NaN of a row without any place. */
const hidden = -3.4028234663852886e38;

/** Each position sees itself and those before it: a bias for the scores, [1, 1, N, N]. */
export function causalBias(length: number): tf.Tensor4D {
  const bias = new Float32Array(length * length);
  for (let row = 0; row < length; row++) bias.fill(hidden, row * length + row + 1, (row + 1) * length);
  return tf.tensor4d(bias, [1, 1, length, length]);
}

/** Each position sees those whose mask is 1: mask [B, N] of 0 and 1 → a bias for the scores, [B, 1, 1, N]. */
export function paddingBias(mask: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => {
    const [batch, length] = mask.shape;
    return tf.reshape(tf.mul(tf.sub(1, tf.cast(mask, "float32")), hidden), [batch, 1, 1, length]);
  });
}
