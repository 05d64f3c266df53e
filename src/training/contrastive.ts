import * as tf from "@tensorflow/tfjs-core";
import { Layer, Parameter } from "../layers/index.ts";

// B pairs of a picture and a text, P channels of their vectors.

/** CLIP's bound: products are at most 100 times the cosine. */
const largestLogitScale = Math.log(100);

/** What stands in the logit of a text that is no wrong answer: far below any cosine times the largest scale. */
const hidden = -1e9;

/** How alike each picture and each text are: the cosine of their vectors, times a learned factor (Radford et al. 2021). */
export class Similarity extends Layer<[pictures: tf.Tensor2D, texts: tf.Tensor2D], tf.Tensor2D> {
  /** The logarithm of the factor. CLIP's begins at ln(1 / 0.07). */
  logitScale = new Parameter<tf.Rank.R0>([]);

  /** pictures [B, P], texts [C, P] → [B, C] */
  protected override forward(pictures: tf.Tensor2D, texts: tf.Tensor2D): tf.Tensor2D {
    const scale = tf.exp(tf.minimum(this.logitScale.value, largestLogitScale));
    return tf.mul(tf.matMul(unit(pictures), unit(texts), false, true), scale);
  }
}

/** Vectors of length 1. x [B, P] → the same shape */
function unit(x: tf.Tensor2D): tf.Tensor2D {
  return tf.mul(x, tf.rsqrt(tf.add(tf.sum(tf.square(x), 1, true), 1e-12)));
}

/**
 * CLIP's loss (Radford et al. 2021, figure 3): of all texts of the batch, which belongs to a picture, and of all pictures, which
 * to a text. InfoNCE (van den Oord et al. 2018), both ways.
 * @param logits [B, B], of picture i and text j
 * @param same [B, B], 1 where picture i might have text j too, as where two captions are the same: no wrong answer, so not counted
 */
export function contrastiveLoss(logits: tf.Tensor2D, same: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => {
    const own = tf.eye(same.shape[0]);
    const counted: tf.Tensor2D = tf.add(logits, tf.mul(tf.mul(same, tf.sub(1, own)), hidden));
    const ownLogProbability = (rows: tf.Tensor2D) => tf.mean(tf.sum(tf.mul(tf.logSoftmax(rows), own), 1));
    return tf.mul(tf.add(ownLogProbability(counted), ownLogProbability(tf.transpose(counted))), -0.5) as tf.Scalar;
  });
}
