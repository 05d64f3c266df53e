import * as tf from "@tensorflow/tfjs-core";
import type { Picture } from "../image/index.ts";
import { runStages } from "../layers/stages.ts";
import { type Autoencoder, normalizeLatents, samplePosterior } from "../models/autoencoder.ts";
import type { AutoencoderConfig } from "../models/autoencoder-config.ts";
import { pixelsOf } from "./picture-tensors.ts";
import type { Request } from "./request.ts";
import { type TensorData, takeData, toTensor } from "./tensor-data.ts";

/** What the autoencoder makes of a picture: a distribution of latents, each [1, C, h, w]. */
export interface PosteriorData {
  mean: TensorData;
  logvar: TensorData;
}

/** A picture, brought to −1…1, as the distribution of its latents. */
export async function encodePicture(
  picture: Picture,
  autoencoder: Autoencoder,
  { signal }: Pick<Request, "signal">,
): Promise<PosteriorData> {
  const x = pixelsOf([picture]);
  try {
    const { mean, logvar } = await runStages(autoencoder.encode(x), { signal });
    return { mean: await takeData(mean), logvar: await takeData(logvar) };
  } finally {
    x.dispose();
  }
}

/** Latents drawn from the distribution, scaled as the UNet takes them, [1, C, h, w]. */
export function drawLatents(
  { mean, logvar }: PosteriorData,
  noise: TensorData,
  config: AutoencoderConfig,
): Promise<TensorData> {
  return takeData(
    tf.tidy(() => {
      const posterior = { mean: toTensor<tf.Tensor4D>(mean), logvar: toTensor<tf.Tensor4D>(logvar) };
      return normalizeLatents(samplePosterior(posterior, toTensor(noise)), config);
    }),
  );
}
