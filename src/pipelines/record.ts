import type { GenerationRecord } from "../image/index.ts";
import type { GenerationResult } from "./pipeline.ts";

/** What picture i of a result was made from, as it is written into its file: with the same model it can be made again. */
export function generationRecord({ request, seeds, scheduler }: GenerationResult, index: number): GenerationRecord {
  const { width, height, steps, guidanceScale, guidanceRescale, generator, eta, textMask, textHiddenState } = request;
  return {
    prompt: request.prompts[index]!,
    negativePrompt: request.negativePrompts?.[index],
    width,
    height,
    steps,
    guidanceScale,
    guidanceRescale,
    seed: seeds[index]!,
    generator,
    scheduler,
    eta,
    strength: request.latents && request.strength,
    textMask,
    textHiddenState,
  };
}
