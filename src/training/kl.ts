import * as tf from "@tensorflow/tfjs-core";
import type { Posterior } from "../models/autoencoder.ts";

/**
 * How far an encoder's distribution is from the standard normal one: the Kullback–Leibler divergence (Kingma & Welling 2014,
 * appendix B), the mean over all numbers of the latents. diffusers' DiagonalGaussianDistribution sums it instead.
 */
export function klDivergence({ mean, logvar }: Posterior): tf.Scalar {
  return tf.tidy(() => {
    const terms = tf.sub(tf.add(tf.square(mean), tf.exp(logvar)), tf.add(logvar, 1));
    return tf.mul(tf.mean(terms), 0.5) as tf.Scalar;
  });
}
