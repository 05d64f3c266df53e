import * as tf from "@tensorflow/tfjs-core";
import type { ImageProcessor, Picture } from "../../image/index.ts";

/** Pictures as a folder's preprocessor_config.json wants them, [B, H, W, 3]. It resizes them to one size. */
export function preparedPictures(pictures: readonly Picture[], processor: ImageProcessor): tf.Tensor4D {
  const prepared = pictures.map((picture) => processor.apply(picture));
  const [{ width, height }] = prepared as [(typeof prepared)[0]];
  const numbers = new Float32Array(prepared.length * width * height * 3);
  for (const [i, { data }] of prepared.entries()) numbers.set(data, i * data.length);
  return tf.tensor4d(numbers, [prepared.length, height, width, 3]);
}
