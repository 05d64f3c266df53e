import type { Objective } from "./objective.ts";

/**
 * How much the loss of each picture counts: Hang et al., "Efficient diffusion training via Min-SNR weighting strategy" (2023),
 * section 3.4, so that the many steps with little noise do not outweigh the others. As losses of x₀ they all count
 * min(SNR, γ); that is min(SNR, γ) / SNR of ε, and min(SNR, γ) / (SNR + 1) of v, of which a picture that is all noise
 * (SNR 0) counts nothing.
 * @param alphas ᾱ at the timestep of each picture
 */
export function minSnrWeights(objective: Objective, alphas: readonly number[], gamma: number): number[] {
  return alphas.map((alpha) => {
    const snr = alpha / (1 - alpha);
    // Not min(SNR, γ) / SNR, which is 0 / 0 where the SNR is 0.
    return objective === "epsilon" ? Math.min(1, gamma / snr) : Math.min(snr, gamma) / (snr + 1);
  });
}
