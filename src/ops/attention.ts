import * as tf from "@tensorflow/tfjs-core";
import { type Gradient, kernelOr } from "./kernel.ts";

export interface ScaledDotProductAttentionOptions {
  heads: number;
  /** Added to the scores: it broadcasts to [B, heads, N, M]. A masked place holds a large negative number. */
  bias?: tf.Tensor4D | undefined;
  /** The most memory that the scores may take at a time, in bytes, where the backend has no kernel of its own. */
  scoreBytes?: number;
}

/** The most that a softmax may take to be kept for the gradient, in bytes. A larger one is computed again. */
const keptBytes = 16 * 2 ** 20;

/**
 * softmax(q kᵀ / √d + bias) v for each head (Vaswani et al. 2017).
 *
 * q [B, N, heads·d], k and v [B, M, heads·d] → [B, N, heads·d]
 */
export function scaledDotProductAttention(
  q: tf.Tensor3D,
  k: tf.Tensor3D,
  v: tf.Tensor3D,
  { heads, bias, scoreBytes = 256 * 2 ** 20 }: ScaledDotProductAttentionOptions,
): tf.Tensor3D {
  const kernel = "ScaledDotProductAttention";
  const gradient: Gradient = (dy, saved, _, [softmax]) => attentionGradient(dy, saved, heads, softmax);
  return kernelOr({ kernel, inputs: { q, k, v, bias }, attributes: { heads }, gradient }, () => {
    const [batch, queries, channels] = q.shape;
    const scale = 1 / Math.sqrt(channels / heads);
    const [qs, ks, vs] = [splitHeads(tf.mul(q, scale), heads), splitHeads(k, heads), splitHeads(v, heads)];

    if (4 * batch * heads * queries * k.shape[1] <= Math.min(scoreBytes, keptBytes)) {
      const softmax = weights(qs, ks, bias);
      return [joinHeads(tf.matMul(softmax, vs)), softmax];
    }

    // Rows of the scores do not depend on each other. All at once would take 4 GB for a 768 × 768 picture.
    const rows = Math.max(1, Math.floor(scoreBytes / (4 * batch * heads * k.shape[1])));
    const parts: tf.Tensor4D[] = [];
    for (let start = 0; start < queries; start += rows) {
      parts.push(attend(slice(qs, start, rows), ks, vs, bias && slice(bias, start, rows)));
    }
    return joinHeads(parts.length === 1 ? parts[0]! : tf.concat(parts, 2));
  });
}

/** With p the softmax: dv = pᵀ dy, and the scores' gradient is p (dp − Σ dp p), where dp = dy vᵀ. */
function attentionGradient(
  dy: tf.Tensor,
  { q, k, v, bias }: tf.NamedTensorMap,
  heads: number,
  softmax: tf.Tensor | undefined,
) {
  const scale = 1 / Math.sqrt(q!.shape[2]! / heads);
  const [qs, ks, vs] = [splitHeads(tf.mul(q!, scale), heads), splitHeads(k!, heads), splitHeads(v!, heads)];
  const dys = splitHeads(dy, heads);
  const p = softmax ?? weights(qs, ks, bias as tf.Tensor4D | undefined);
  const dp = tf.matMul(dys, vs, false, true);
  const scores = tf.mul(p, tf.sub(dp, tf.sum(tf.mul(dp, p), -1, true))); // [B, heads, N, M]
  return {
    q: joinHeads(tf.mul(tf.matMul(scores, ks), scale)),
    k: joinHeads(tf.matMul(scores, qs, true)),
    v: joinHeads(tf.matMul(p, dys, true)),
    ...(bias && { bias: sumTo(scores, bias.shape) }),
  };
}

/** The sums of x over the axes that are of length 1 in `shape`. */
function sumTo(x: tf.Tensor, shape: number[]): tf.Tensor {
  const axes = [...shape.keys()].filter((axis) => shape[axis] === 1);
  return axes.length === 0 ? x : tf.sum(x, axes, true);
}

function attend(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, bias: tf.Tensor4D | undefined): tf.Tensor4D {
  return tf.tidy(() => tf.matMul(weights(q, k, bias), v) as tf.Tensor4D);
}

/** How much each query takes of each key, [B, heads, rows, M]. */
function weights(q: tf.Tensor4D, k: tf.Tensor4D, bias: tf.Tensor4D | undefined): tf.Tensor {
  const scores = tf.matMul(q, k, false, true);
  return tf.softmax(bias ? tf.add(scores, bias) : scores);
}

/** [B, N, heads·d] → [B, heads, N, d] */
function splitHeads(x: tf.Tensor, heads: number): tf.Tensor4D {
  const [batch, length] = x.shape as [number, number];
  return tf.transpose(tf.reshape(x, [batch, length, heads, -1]), [0, 2, 1, 3]) as tf.Tensor4D;
}

/** [B, heads, N, d] → [B, N, heads·d] */
function joinHeads(x: tf.Tensor): tf.Tensor3D {
  const [batch, , length] = x.shape as [number, number, number];
  return tf.reshape(tf.transpose(x, [0, 2, 1, 3]), [batch, length, -1]);
}

/** Some rows of the third axis; an axis of length 1 is one that broadcasts, and stays. */
function slice(x: tf.Tensor4D, start: number, count: number): tf.Tensor4D {
  const length = x.shape[2];
  if (length === 1 || count >= length) return x;
  return tf.slice(x, [0, 0, start, 0], [-1, -1, Math.min(count, length - start), -1]);
}
