import * as tf from "@tensorflow/tfjs-core";
import { sumOfSquares } from "../ops/sum-of-squares.ts";
import { eachWeight } from "./vectors.ts";

/**
 * Scales gradients down together, so that their norm over all weights is at most `maxNorm`: Pascanu, Mikolov and Bengio, "On
 * the difficulty of training recurrent neural networks" (2013), section 3.2, with the numbers of torch's clip_grad_norm_.
 * Called in a tidy.
 */
export function clipGradients(
  gradients: readonly tf.Tensor[],
  maxNorm: number,
): { gradients: tf.Tensor[] /** Before it was clipped. */; norm: tf.Scalar } {
  const squares: tf.Scalar[] = [];
  const given = gradients.map((gradient) => [gradient]);
  eachWeight(given, ([gradient]) => {
    squares.push(sumOfSquares(gradient!));
    return [];
  });
  const norm = tf.sqrt(tf.addN(squares));
  const scale = tf.minimum(tf.div(maxNorm, tf.add(norm, 1e-6)), 1);
  return {
    gradients: eachWeight(given, ([gradient]) => [tf.mul(gradient!, scale)]).map(([clipped]) => clipped!),
    norm,
  };
}
