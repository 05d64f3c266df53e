import * as tf from "@tensorflow/tfjs-core";

/** Layer normalization (Ba et al. 2016) of x [..., C] over its last axis, with gain and bias [C] and the biased variance. */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  { eps }: { eps: number },
): T {
  return tf.tidy(() => {
    const centred = tf.sub(x, tf.mean(x, -1, true));
    const variance = tf.mean(tf.square(centred), -1, true);
    return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, eps))), gain), bias) as T;
  });
}
