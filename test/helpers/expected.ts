import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import { openSafetensors, toFloat32, type WeightSource } from "../../src/weights/index.ts";

const folder = new URL("../reference/expected/", import.meta.url);

/** Where a file made by `test/reference/<script>.py` lies: `expectedPath("unet/tiny.safetensors")`. */
export function expectedPath(name: string): string {
  return new URL(name, folder).pathname;
}

/** The tensors of one file that the reference made, opened. Close it after use. */
export function openExpected(name: string): Promise<WeightSource> {
  return openSafetensors(expectedPath(name));
}

/** One tensor of such a file; pictures are turned from PyTorch's [B, C, H, W] to tfjs's [B, H, W, C] with `nhwc`. */
export async function readTensor(source: WeightSource, name: string, layout?: "nhwc"): Promise<tf.Tensor> {
  const entry = source.entries.get(name);
  if (!entry) throw new Error(`${source.path} has no ${name}; it has ${[...source.entries.keys()].join(", ")}`);
  const tensor = tf.tensor(toFloat32(await source.read(name), entry.dtype), [...entry.shape]);
  return layout ? tf.transpose(tensor, [0, 2, 3, 1]) : tensor;
}

/** The largest difference, divided by the largest expected magnitude. */
export async function relativeError(actual: tf.Tensor, wanted: tf.Tensor): Promise<number> {
  expect(actual.shape).toEqual(wanted.shape);
  const [a, w] = await Promise.all([actual.data(), wanted.data()]);
  let difference = 0;
  let magnitude = 0;
  for (let i = 0; i < w.length; i++) {
    const d = Math.abs(a[i]! - w[i]!);
    if (!(d <= difference)) difference = d; // a NaN must not pass for equal
    magnitude = Math.max(magnitude, Math.abs(w[i]!));
  }
  return difference === 0 ? 0 : difference / magnitude;
}
