import * as tf from "@tensorflow/tfjs-core";

/**
 * Group normalization (Wu & He 2018) of x [B, ..., C] with one gain and bias a channel [C]. `eps` is added to the
 * variance, which is the biased one, as in PyTorch.
 */
export function groupNorm<T extends tf.Tensor>(
  x: T,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  { groups, eps }: { groups: number; eps: number },
): T {
  return tf.tidy(() => {
    const batch = x.shape[0]!;
    const channels = x.shape.at(-1)!;
    const { mean, variance } = statistics(tf.reshape(x, [batch, -1, groups, channels / groups])); // [B, 1, G, 1]
    // Folded into one multiplication and one addition of the large tensor: half the memory of the textbook form.
    const inverse = tf.rsqrt(tf.add(variance, eps));
    const scale = tf.mul(inverse, tf.reshape(gain, [1, 1, groups, -1])); // [B, 1, G, C/G]
    const shift = tf.sub(tf.reshape(bias, [1, 1, groups, -1]), tf.mul(mean, scale));
    const perChannel = [batch, ...x.shape.slice(1, -1).map(() => 1), channels];
    return tf.add(tf.mul(x, tf.reshape(scale, perChannel)), tf.reshape(shift, perChannel)) as T;
  });
}

function statistics(x: tf.Tensor): { mean: tf.Tensor; variance: tf.Tensor } {
  return tf.tidy(() => {
    const mean = tf.mean(x, [1, 3], true);
    // tf.squaredDifference would do, but its gradient is wrong under broadcasting.
    const variance = tf.mean(tf.square(tf.sub(x, mean)), [1, 3], true);
    return { mean, variance };
  });
}
