import * as tf from "@tensorflow/tfjs-core";

// B pairs of a picture and a text, P channels of their vectors.

/** What stands in the logit of a text that is no wrong answer: far below any cosine times the largest scale. */
const hidden = -1e9;

/** CLIP's bound: products are at most 100 times the cosine. */
export const largestLogitScale = Math.log(100);

/** Vectors of length 1. x [B, P] → the same shape */
export function unit(x: tf.Tensor2D): tf.Tensor2D {
  return tf.tidy(() => tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), 1, true), 1e-12))) as tf.Tensor2D);
}

/**
 * CLIP's loss (Radford et al. 2021, figure 3): of all texts of the batch, which belongs to a picture, and of all pictures, which
 * to a text. InfoNCE (van den Oord et al. 2018), both ways.
 * @param pictures [B, P]
 * @param texts [B, P]
 * @param logitScale the logarithm of what cosines are multiplied with, a scalar
 * @param same [B, B], 1 where picture i might have text j too, as where two captions are the same: no wrong answer, so not counted
 */
export function contrastiveLoss(
  pictures: tf.Tensor2D,
  texts: tf.Tensor2D,
  logitScale: tf.Scalar,
  same: tf.Tensor2D,
): tf.Scalar {
  return tf.tidy(() => {
    const scale = tf.exp(tf.minimum(logitScale, largestLogitScale));
    const own = tf.eye(same.shape[0]);
    const bias = tf.mul(tf.mul(same, tf.sub(1, own)), hidden);
    const logits = tf.add(tf.mul(tf.matMul(unit(pictures), unit(texts), false, true), scale), bias); // [B, B]
    const answers = (rows: tf.Tensor) => tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(rows), own), 1)));
    return tf.mul(tf.add(answers(logits), answers(tf.transpose(logits))), 0.5) as tf.Scalar;
  });
}
