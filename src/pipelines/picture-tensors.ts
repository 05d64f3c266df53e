import * as tf from "@tensorflow/tfjs-core";
import type { FloatPicture, ImageProcessor, Picture } from "../image/index.ts";

/** Pictures of one size as an autoencoder takes them, −1…1: [B, H, W, 3]. The numbers are those of diffusers' VaeImageProcessor. */
export function pixelsOf(pictures: readonly Picture[]): tf.Tensor4D {
  return stacked(
    pictures.map(({ width, height, data }) => ({
      width,
      height,
      data: Float32Array.from(data, (value) => 2 * Math.fround(value / 255) - 1),
    })),
  );
}

/** Pictures as a folder's preprocessor_config.json wants them, [B, H, W, 3]. It resizes them to one size. */
export function preparedPictures(pictures: readonly Picture[], processor: ImageProcessor): tf.Tensor4D {
  return stacked(pictures.map((picture) => processor.apply(picture)));
}

function stacked(pictures: readonly FloatPicture[]): tf.Tensor4D {
  const { width, height } = pictures[0]!;
  const numbers = new Float32Array(pictures.length * width * height * 3);
  for (const [i, { data }] of pictures.entries()) numbers.set(data, i * data.length);
  return tf.tensor4d(numbers, [pictures.length, height, width, 3]);
}
