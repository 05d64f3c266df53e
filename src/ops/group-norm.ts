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
  const gradient = (dy: tf.Tensor, saved: tf.NamedTensorMap) => groupNormGradient(dy, saved, groups, eps);
  return kernelOr({ kernel: "GroupNorm", inputs: { x, gain, bias }, attributes, gradient }, () => {
    const { mean, inverse } = statistics(x, groups, eps);
    // Folded into one multiplication and one addition of the large tensor: half the memory of the textbook form.
    const scale = tf.mul(inverse, gain); // [B, 1, ..., C]
    return tf.add(tf.mul(x, scale), tf.sub(bias, tf.mul(mean, scale))) as T;
  });
}

/**
 * With n the normalized x, g = dy · gain, and means over groups: dx = (g − mean g − n · mean(g n)) / deviation. As in PyTorch's
 * kernel, all that is asked of the large tensors are the sums of dy and of dy · x, and one multiple of each of them.
 */
function groupNormGradient(dy: tf.Tensor, saved: tf.NamedTensorMap, groups: number, eps: number) {
  const [x, gain] = [saved.x!, saved.gain!];
  const { mean, inverse } = statistics(x, groups, eps);
  const plain = cellMeans(dy); // [B, 1, ..., C], and so are all of these
  const along = tf.mul(tf.sub(cellMeans(tf.mul(dy, x)), tf.mul(plain, mean)), inverse);
  const ofGroups = (means: tf.Tensor) => forChannels(channelMeans(tf.mul(means, gain), groups), x.shape);
  const byX = tf.neg(tf.mul(tf.square(inverse), ofGroups(along)));
  const constant = tf.neg(tf.add(tf.mul(byX, mean), tf.mul(ofGroups(plain), inverse)));
  const total = (means: tf.Tensor) => tf.mul(tf.sum(tf.reshape(means, [x.shape[0]!, -1]), 0), cellsOf(x));
  return {
    x: tf.add(tf.add(tf.mul(dy, tf.mul(inverse, gain)), tf.mul(x, byX)), constant),
    gain: total(along),
    bias: total(plain),
  };
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

/** The mean of each group, [B, G, 1]. */
function groupMeans(x: tf.Tensor, groups: number): tf.Tensor {
  return tf.tidy(() => channelMeans(cellMeans(x), groups));
}

/**
 * The mean of each channel, [B, 1, ..., C]: first of every row of the map, then of the rows. Backends add up one number after
 * another in float32, which over the million numbers of a large map costs four digits; and channels side by side are added
 * up faster than those of a group.
 */
function cellMeans(x: tf.Tensor): tf.Tensor {
  return tf.tidy(() => {
    let means = x;
    for (let axis = x.rank - 2; axis > 0; axis--) means = tf.mean(means, axis, true);
    return means;
  });
}

/** [B, 1, ..., C] → the mean over the channels of each group, [B, G, 1] */
function channelMeans(means: tf.Tensor, groups: number): tf.Tensor {
  return tf.mean(tf.reshape(means, [means.shape[0]!, groups, -1]), 2, true);
}

function cellsOf({ size, shape }: tf.Tensor): number {
  return size / (shape[0]! * shape.at(-1)!);
}
