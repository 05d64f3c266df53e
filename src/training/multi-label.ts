import * as tf from "@tensorflow/tfjs-core";

/**
 * The mean over pictures and labels of the binary cross-entropy: each label is there or not, whatever the others are. PyTorch's
 * BCEWithLogitsLoss, by x − x·y + log(1 + e^−x), which no large logit overflows.
 * @param logits [B, labels]
 * @param targets [B, labels], 0 or 1
 */
export function multiLabelLoss(logits: tf.Tensor2D, targets: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => {
    const positive = tf.sub(tf.relu(logits), tf.mul(logits, targets));
    return tf.mean(tf.add(positive, tf.log1p(tf.exp(tf.neg(tf.abs(logits)))))) as tf.Scalar;
  });
}

/** How well labels are found. */
export interface Found {
  precision: number;
  recall: number;
  /** Their harmonic mean; 1 where there was nothing to find and nothing was found. */
  f1: number;
}

/** Over all pictures and labels together: whether each was said to be there, and whether it is. */
export function foundLabels(said: readonly boolean[], are: readonly boolean[]): Found {
  const count = (wanted: (said: boolean, is: boolean) => boolean) =>
    said.filter((one, i) => wanted(one, are[i]!)).length;
  const right = count((one, is) => one && is);
  const [wrong, missed] = [count((one, is) => one && !is), count((one, is) => !one && is)];
  const ratio = (part: number, rest: number) => (part + rest === 0 ? 1 : part / (part + rest));
  return { precision: ratio(right, wrong), recall: ratio(right, missed), f1: ratio(2 * right, wrong + missed) };
}
