import * as tf from "@tensorflow/tfjs-core";
import { nearestSources } from "../ops/nearest.ts";
import type { Sampler } from "../schedulers/index.ts";
import type { TensorData } from "./tensor-data.ts";

/**
 * A mask in latent cells: [B, 1, H, W] to [B, 1, h, w], each cell the pixel at its top left, as torch's nearest
 * interpolation takes it, in single precision.
 */
export function resizeMask({ shape, data }: TensorData, height: number, width: number): TensorData {
  const [batch, , rows, columns] = shape as [number, number, number, number];
  const [ys, xs] = [nearestSources(rows, height), nearestSources(columns, width)];
  const cells = new Float32Array(batch * height * width);
  for (let i = 0; i < cells.length; i++) {
    const picture = Math.floor(i / (height * width));
    const y = ys[Math.floor(i / width) % height]!;
    const x = xs[i % width]!;
    cells[i] = data[(picture * rows + y) * columns + x]!;
  }
  return { shape: [batch, 1, height, width], data: cells };
}

/** What inpainting keeps, as tensors [1, h, w, C]; the mask has one channel. */
export interface Kept {
  mask: tf.Tensor4D;
  original: tf.Tensor4D;
  noise: tf.Tensor4D;
}

/**
 * Puts back what the mask keeps, at the noise that the next step expects: the blending of diffusers' inpainting for UNets
 * without mask channels (Lugmayr et al. 2022, without its resampling).
 * @param next the next timestep; undefined after the last, where the original is put back as it is
 */
export function keepUnmasked(
  latents: tf.Tensor4D,
  kept: Kept,
  sampler: Sampler,
  next: number | undefined,
): tf.Tensor4D {
  return tf.tidy(() => {
    const { mask, original, noise } = kept;
    const known = next === undefined ? original : sampler.addNoise(original, noise, next);
    return tf.add(tf.mul(tf.sub(1, mask), known), tf.mul(mask, latents));
  });
}
