import * as tf from "@tensorflow/tfjs-core";
import { kernelOr } from "./kernel.ts";

/** Layer normalization (Ba et al. 2016) of x [..., C] over its last axis, with gain and bias [C] and the biased variance. */
export function layerNorm<T extends tf.Tensor>(
  x: T,
  gain: tf.Tensor1D,
  bias: tf.Tensor1D,
  { eps }: { eps: number },
): T {
  const gradient = (dy: tf.Tensor, saved: tf.NamedTensorMap) => layerNormGradient(dy, saved, eps);
  return kernelOr({ kernel: "LayerNorm", inputs: { x, gain, bias }, attributes: { eps }, gradient }, () => {
    const { normalized } = normalize(x, eps);
    return tf.add(tf.mul(normalized, gain), bias) as T;
  });
}

/** x with mean 0 and variance 1 along its last axis, and what its difference from the mean was multiplied by. */
function normalize(x: tf.Tensor, eps: number): { normalized: tf.Tensor; inverse: tf.Tensor } {
  const centred = tf.sub(x, tf.mean(x, -1, true));
  const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), eps));
  return { normalized: tf.mul(centred, inverse), inverse };
}

/** With n the normalized x and g = dy · gain: dx = (g − mean g − n · mean(g n)) / deviation */
function layerNormGradient(dy: tf.Tensor, { x, gain }: tf.NamedTensorMap, eps: number) {
  const { normalized, inverse } = normalize(x!, eps);
  const g = tf.mul(dy, gain!);
  const along = tf.mul(normalized, tf.mean(tf.mul(g, normalized), -1, true));
  const rows = x!.shape.slice(0, -1).map((_, axis) => axis);
  return {
    x: tf.mul(tf.sub(tf.sub(g, tf.mean(g, -1, true)), along), inverse),
    gain: tf.sum(tf.mul(dy, normalized), rows),
    bias: tf.sum(dy, rows),
  };
}
