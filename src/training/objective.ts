import * as tf from "@tensorflow/tfjs-core";

/**
 * What the model learns to predict: the noise (Ho et al., "Denoising diffusion probabilistic models", 2020), or the velocity
 * (Salimans and Ho, "Progressive distillation for fast sampling of diffusion models", 2022, appendix D), which still says
 * something of the picture where nothing but noise is left.
 */
export type Objective = "epsilon" | "v_prediction";

/**
 * Pictures at their timesteps: √ᾱ x₀ + √(1 − ᾱ) ε, equation 4 of Ho et al. 2020. All [B, …].
 * @param alphas ᾱ at the timestep of each picture
 */
export function addNoise<T extends tf.Tensor>(original: T, noise: T, alphas: readonly number[]): T {
  const [signal, scale] = coefficients(alphas, original.rank);
  return tf.add<T>(tf.mul(original, signal), tf.mul(noise, scale));
}

/** What the model should say of these pictures: ε, or v = √ᾱ ε − √(1 − ᾱ) x₀. All [B, …]. */
export function targetOf<T extends tf.Tensor>(
  objective: Objective,
  original: T,
  noise: T,
  alphas: readonly number[],
): T {
  if (objective === "epsilon") return noise;
  const [signal, scale] = coefficients(alphas, original.rank);
  return tf.sub<T>(tf.mul(noise, signal), tf.mul(original, scale));
}

/** √ᾱ and √(1 − ᾱ), each [B, 1, …] of so many axes. */
function coefficients(alphas: readonly number[], rank: number): [signal: tf.Tensor, scale: tf.Tensor] {
  const shape = [alphas.length, ...Array<number>(rank - 1).fill(1)];
  const spread = (values: number[]) => tf.tensor(values, shape);
  return [spread(alphas.map(Math.sqrt)), spread(alphas.map((alpha) => Math.sqrt(1 - alpha)))];
}
