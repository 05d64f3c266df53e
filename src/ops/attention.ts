import * as tf from "@tensorflow/tfjs-core";

export interface ScaledDotProductAttentionOptions {
  heads: number;
  /** Added to the scores: it broadcasts to [B, heads, N, M]. A masked place holds a large negative number. */
  bias?: tf.Tensor4D | undefined;
  /** The most memory that the scores may take at a time, in bytes. */
  scoreBytes?: number;
}

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
  return tf.tidy(() => {
    const [batch, queries, channels] = q.shape;
    const scale = 1 / Math.sqrt(channels / heads);
    const [qs, ks, vs] = [splitHeads(tf.mul(q, scale), heads), splitHeads(k, heads), splitHeads(v, heads)];

    // Rows of the scores do not depend on each other. All at once would take 4 GB for a 768 × 768 picture.
    const rows = Math.max(1, Math.floor(scoreBytes / (4 * batch * heads * k.shape[1])));
    const parts: tf.Tensor4D[] = [];
    for (let start = 0; start < queries; start += rows) {
      parts.push(attend(slice(qs, start, rows), ks, vs, bias && slice(bias, start, rows)));
    }
    const out = parts.length === 1 ? parts[0]! : tf.concat(parts, 2); // [B, heads, N, d]
    return tf.reshape(tf.transpose(out, [0, 2, 1, 3]), [batch, queries, -1]);
  });
}

function attend(q: tf.Tensor4D, k: tf.Tensor4D, v: tf.Tensor4D, bias: tf.Tensor4D | undefined): tf.Tensor4D {
  return tf.tidy(() => {
    const scores = tf.matMul(q, k, false, true); // [B, heads, rows, M]
    return tf.matMul(tf.softmax(bias ? tf.add(scores, bias) : scores), v) as tf.Tensor4D;
  });
}

/** [B, N, heads·d] → [B, heads, N, d] */
function splitHeads(x: tf.Tensor, heads: number): tf.Tensor4D {
  const [batch, length] = x.shape as [number, number];
  return tf.transpose(tf.reshape(x, [batch, length, heads, -1]), [0, 2, 1, 3]) as tf.Tensor4D;
}

/** Some rows of the third axis; an axis of length 1 is one that broadcasts, and stays. */
function slice(x: tf.Tensor4D, start: number, count: number): tf.Tensor4D {
  const length = x.shape[2];
  if (length === 1 || count >= length) return x;
  return tf.slice(x, [0, 0, start, 0], [-1, -1, Math.min(count, length - start), -1]);
}
