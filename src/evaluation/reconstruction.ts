import { InputError } from "../errors.ts";
import { type Picture, postprocess } from "../image/index.ts";
import { runStages } from "../layers/index.ts";
import type { Autoencoder } from "../models/autoencoder.ts";
import { pixelsOf } from "../pipelines/picture-tensors.ts";

/** What an autoencoder, loaded, gives back of a picture: the mean of its latents, decoded, in 8 bits. */
export async function reconstruct(picture: Picture, autoencoder: Autoencoder, signal?: AbortSignal): Promise<Picture> {
  const x = pixelsOf([picture]);
  try {
    const decoded = await runStages(autoencoder.stages(x), { signal });
    try {
      return postprocess({ ...picture, data: await decoded.data<"float32">() });
    } finally {
      decoded.dispose();
    }
  } finally {
    x.dispose();
  }
}

/**
 * Peak signal-to-noise ratio in decibels of 8-bit pictures and what became of them, over all their pixels; infinite where they
 * are the same.
 * @throws InputError where there are none, or sizes differ
 */
export function psnr(pairs: Iterable<readonly [Picture, Picture]>): number {
  let [squares, count] = [0, 0];
  for (const [a, b] of pairs) {
    if (a.width !== b.width || a.height !== b.height) {
      throw new InputError(`Pictures of ${a.width}×${a.height} and ${b.width}×${b.height} pixels can't be compared.`);
    }
    for (let i = 0; i < a.data.length; i++) squares += (a.data[i]! - b.data[i]!) ** 2;
    count += a.data.length;
  }
  if (count === 0) throw new InputError("There are no pictures to compare.");
  return 10 * Math.log10((255 ** 2 * count) / squares);
}
