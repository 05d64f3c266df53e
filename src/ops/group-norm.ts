import * as tf from "@tensorflow/tfjs-core";
import { kernelOr } from "./kernel.ts";

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
  const attributes = { groups, eps };
  const gradient = (dy: tf.Tensor, saved: tf.NamedTensorMap) => {
    const gradients = tf.engine().runKernel("GroupNormGrad", { dy, ...saved }, attributes) as tf.Tensor[];
    return { x: gradients[0]!, gain: gradients[1]!, bias: gradients[2]! };
  };
  return kernelOr({ kernel: "GroupNorm", inputs: { x, gain, bias }, attributes, gradient }, () => {
    const { mean, inverse } = statistics(x, groups, eps);
    // Folded into one multiplication and one addition of the large tensor: half the memory of the textbook form.
    const scale = tf.mul(inverse, gain); // [B, 1, ..., C]
    return tf.add(tf.mul(x, scale), tf.sub(bias, tf.mul(mean, scale))) as T;
  });
}

/** For every channel the mean of its group, and what the difference from it is multiplied by: both [B, 1, ..., C]. */
function statistics(x: tf.Tensor, groups: number, eps: number): { mean: tf.Tensor; inverse: tf.Tensor } {
  return tf.tidy(() => {
    // A channel for every group's mean: to subtract two or four numbers at a time is slow on every backend.
    const mean = forChannels(groupMeans(x, groups), x.shape);
    // tf.squaredDifference would do, but its gradient is wrong under broadcasting.
    const variance = tf.tidy(() => groupMeans(tf.square(tf.sub(x, mean)), groups));
    return { mean, inverse: forChannels(tf.rsqrt(tf.add(variance, eps)), x.shape) };
  });
}

/** A number of each group [B, G, 1] for each of its channels [B, 1, ..., C], where x has `shape`. */
function forChannels(ofGroups: tf.Tensor, shape: number[]): tf.Tensor {
  const [batch, groups] = ofGroups.shape as [number, number];
  const channels = shape.at(-1)!;
  const repeated = tf.add(ofGroups, tf.zeros([batch, groups, channels / groups]));
  return tf.reshape(repeated, [batch, ...shape.slice(1, -1).map(() => 1), channels]);
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
