import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { denormalize, type Picture, quantize } from "../image/index.ts";
import { runStages } from "../layers/stages.ts";
import { type Autoencoder, denormalizeLatents } from "../models/autoencoder.ts";
import { tiledDecode } from "../models/autoencoder-tiles.ts";
import type { Request } from "./request.ts";
import { type TensorData, takeData, toTensor } from "./tensor-data.ts";

/** Latents [1, C, h, w] to pictures [1, 3, H, W] of 0…1, one after another. */
export async function decodeLatents(
  latents: readonly TensorData[],
  autoencoder: Autoencoder,
  { tiledDecode: isTiled, signal, onProgress }: Request,
): Promise<TensorData[]> {
  const pictures: TensorData[] = [];
  const tell = () => onProgress({ task: "decoding", done: pictures.length, total: latents.length });
  tell();
  for (const one of latents) {
    const z = tf.tidy(() => denormalizeLatents(toTensor<tf.Tensor4D>(one), autoencoder.config));
    try {
      const stages = isTiled ? tiledDecode(autoencoder, z) : autoencoder.decode(z);
      const { shape, data } = await takeData(await runStages(stages, { signal }));
      checkFinite(data, one);
      pictures.push({ shape, data: denormalize(data) });
    } finally {
      z.dispose();
    }
    tell();
  }
  return pictures;
}

function checkFinite(decoded: Float32Array, latents: TensorData): void {
  if (decoded.every(Number.isFinite)) return;
  const largest = latents.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const suspect = largest > 1e4 ? "the UNet's, whose latents should be about 1" : "the autoencoder's";
  throw new InputError(
    `The autoencoder gave colours that are not finite, of latents up to ${largest.toPrecision(2)}. Weights may be damaged: ${suspect}. ` +
      "Get them anew from where they came from, or find the layer with `compare`. Where the precision is float16, try float32.",
  );
}

/** [1, 3, H, W] of 0…1 to 8 bits. */
export function toPicture({ shape, data }: TensorData): Picture {
  const [, channels, height, width] = shape as [number, number, number, number];
  const area = height * width;
  const interleaved = Float32Array.from(data, (_, i) => data[(i % channels) * area + Math.floor(i / channels)]!);
  return quantize({ width, height, data: interleaved });
}
