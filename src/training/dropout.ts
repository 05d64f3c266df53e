import type { Draws } from "./draws.ts";

/**
 * Some captions made empty, so that one model learns to draw with and without a text: Ho and Salimans, "Classifier-free
 * diffusion guidance" (2022), algorithm 1.
 */
export function dropCaptions(captions: readonly string[], probability: number, draws: Draws): string[] {
  const chances = draws.uniform(captions.length);
  return captions.map((caption, i) => (chances[i]! < probability ? "" : caption));
}
