import * as tf from "@tensorflow/tfjs-core";

/**
 * Classifier-free guidance: Ho and Salimans, "Classifier-free diffusion guidance" (2021), with the scale as in
 * diffusers, where 1 leaves `conditional` as it is. Both predictions are [B, …].
 */
export function classifierFreeGuidance<T extends tf.Tensor>(unconditional: T, conditional: T, scale: number): T {
  return tf.tidy(() => tf.add<T>(unconditional, tf.mul(tf.sub(conditional, unconditional), scale)));
}

/**
 * Takes back the contrast that guidance added: section 3.4 of Lin et al., "Common diffusion noise schedules and sample
 * steps are flawed" (2023). Each picture of `guided` is scaled to the standard deviation of its `conditional`, and
 * mixed by φ (0: off, 1: wholly) with what it was. Both are [B, …]. A prediction that is the same everywhere has no
 * contrast to scale and is left as it is; diffusers gives NaN there.
 */
export function rescaleGuidance<T extends tf.Tensor>(guided: T, conditional: T, phi: number): T {
  return tf.tidy(() => {
    const contrast = standardDeviation(guided);
    const ratio = tf.divNoNan(standardDeviation(conditional), contrast);
    const rescaled = tf.mul<T>(guided, tf.where(tf.greater(contrast, 0), ratio, 1));
    return tf.add<T>(tf.mul(rescaled, phi), tf.mul(guided, 1 - phi));
  });
}

/** Of each picture: [B, …] → [B, 1, …]. By n, where torch divides by n − 1: in the ratio of two it is the same. */
function standardDeviation(x: tf.Tensor): tf.Tensor {
  const first = tf.slice(x, new Array(x.rank).fill(0), [-1, ...new Array(x.rank - 1).fill(1)]);
  const shifted = tf.sub(x, first); // exactly 0 where x is the same everywhere
  return tf.sqrt(meanOfPicture(tf.square(tf.sub(shifted, meanOfPicture(shifted)))));
}

/** One axis after the other: a sum of many thousand float32 numbers in one go would lose digits. [B, …] → [B, 1, …] */
function meanOfPicture(x: tf.Tensor): tf.Tensor {
  return x.shape.slice(1).reduce((mean, _, i) => tf.mean(mean, i + 1, true), x);
}
