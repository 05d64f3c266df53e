import type { ImageProcessor, Picture } from "../image/index.ts";
import { runStages } from "../layers/stages.ts";
import type { SwinForImageClassification } from "../models/swin.ts";
import { preparedPictures } from "./picture-tensors.ts";
import type { Request } from "./request.ts";

/** For each picture, every label of the classifier and its probability. */
export async function similarityOf(
  pictures: readonly Picture[],
  classifier: SwinForImageClassification,
  processor: ImageProcessor,
  { signal, onProgress }: Pick<Request, "signal" | "onProgress">,
): Promise<Record<string, number>[]> {
  const found: Record<string, number>[] = [];
  const tell = () => onProgress({ task: "checking similarity", done: found.length, total: pictures.length });
  tell();
  for (const picture of pictures) {
    const pixels = preparedPictures([picture], processor);
    try {
      const logits = await runStages(classifier.stages(pixels), { signal });
      try {
        found.push(...(await classifier.probabilities(logits)));
      } finally {
        logits.dispose();
      }
    } finally {
      pixels.dispose();
    }
    tell();
  }
  return found;
}

/** The labels whose probability is over a threshold, the likeliest first. */
export function labelsOver(threshold: number, probabilities: Readonly<Record<string, number>>): string[] {
  return Object.entries(probabilities)
    .filter(([, probability]) => probability > threshold)
    .sort(([, a], [, b]) => b - a)
    .map(([label]) => label);
}
