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
    const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
    const perGroup = [batch, groups, channels / groups];
    const perChannel = [batch, ...x.shape.slice(1, -1).map(() => 1), channels];
    const mean = groupMeans(x, groups); // [B, G, 1]
    // A channel for every group's mean: to subtract two or four numbers at a time is slow on every backend.
    const means = tf.reshape(tf.add(mean, tf.zeros(perGroup)), perChannel);
    // tf.squaredDifference would do, but its gradient is wrong under broadcasting.
    const variance = tf.tidy(() => groupMeans(tf.square(tf.sub(x, means)), groups));

    // Folded into one multiplication and one addition of the large tensor: half the memory of the textbook form.
    const inverse = tf.rsqrt(tf.add(variance, eps));
    const scale = tf.mul(inverse, tf.reshape(gain, [1, groups, -1])); // [B, G, C/G]
    const shift = tf.sub(tf.reshape(bias, [1, groups, -1]), tf.mul(mean, scale));
    return tf.add(tf.mul(x, tf.reshape(scale, perChannel)), tf.reshape(shift, perChannel)) as T;
  });
}

/**
 * The mean of each group, [B, G, 1]: first of every row of the map, then of the rows. Backends add up one number after
 * another in float32, which over the million numbers of a large map costs four digits.
 */
function groupMeans(x: tf.Tensor, groups: number): tf.Tensor {
  return tf.tidy(() => {
    const batch = x.shape[0]!;
    const rows = x.rank > 2 ? x.shape[1]! : 1;
    const ofRows = tf.mean(tf.reshape(x, [batch * rows, -1, groups, x.shape.at(-1)! / groups]), [1, 3]);
    return tf.mean(tf.reshape(ofRows, [batch, rows, groups, 1]), 1);
  });
}
