import * as z from "zod";
import { readConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import type { FloatPicture, Picture } from "./picture.ts";
import { type ResampleFilter, resampleFilters, resize } from "./resize.ts";

/** How a picture is made ready for a model, in transformers' order; a step that is absent is not done. */
export interface ImageProcessorConfig {
  resize?: { width: number; height: number; filter: ResampleFilter } | undefined;
  /** Multiplies the values 0…255. */
  rescaleFactor?: number | undefined;
  /** Of red, green and blue, after rescaling. */
  normalize?: { mean: readonly [number, number, number]; std: readonly [number, number, number] } | undefined;
}

/** transformers' ViTImageProcessor, which prepares pictures for ViT and for Swin. */
export class ImageProcessor {
  constructor(readonly config: ImageProcessorConfig) {}

  /** 8-bit picture → [height, width, 3] in float32, rounded where transformers rounds. */
  apply(picture: Picture): FloatPicture {
    const { width, height, data } = this.config.resize ? resize(picture, this.config.resize) : picture;
    return { width, height, data: Float32Array.from(data, (value, i) => this.#value(value, i % 3)) };
  }

  #value(value: number, channel: number): number {
    const { rescaleFactor, normalize } = this.config;
    const x = rescaleFactor === undefined ? value : Math.fround(value * rescaleFactor);
    if (!normalize) return x;
    const centered = Math.fround(x - Math.fround(normalize.mean[channel]!));
    return Math.fround(centered / Math.fround(normalize.std[channel]!));
  }
}

const side = z.int().min(1).max(8192);
const number = z.number();
const rgb = z.union(
  [z.tuple([number, number, number]), number.transform((x) => [x, x, x] as [number, number, number])],
  { error: "it must be a number, or three, for red, green and blue" },
);
const pixels = z.union(
  [z.strictObject({ height: side, width: side }), side.transform((n) => ({ height: n, width: n }))],
  { error: "it must be a number of pixels, or a height and a width, up to 8192" },
);
const nonZero = (values: readonly number[]) => values.every((value) => value !== 0);

/** Cannot change what the processor returns. */
const ignored = z.unknown().optional();

const schema = z.strictObject({
  image_processor_type: z.enum(["ViTImageProcessor", "ViTImageProcessorFast", "ViTFeatureExtractor"]).nullish(),
  feature_extractor_type: z.literal("ViTFeatureExtractor").nullish(),
  do_resize: z.boolean().default(true),
  size: pixels.nullish(),
  resample: z.int().min(0).max(5).default(2),
  do_rescale: z.boolean().default(true),
  rescale_factor: number.default(1 / 255),
  do_normalize: z.boolean().default(true),
  image_mean: rgb.nullish(),
  image_std: rgb.refine(nonZero, { error: "it must not be 0" }).nullish(),
  do_center_crop: z.literal(false).nullish(),
  crop_size: ignored,
  do_convert_rgb: ignored,
  default_to_square: z.literal(true).nullish(),
  processor_class: ignored,
  data_format: ignored,
  input_data_format: ignored,
  return_tensors: ignored,
  device: ignored,
  disable_grouping: ignored,
  _valid_processor_keys: ignored,
});

/**
 * Reads a model folder's `preprocessor_config.json`, parsed. A step that ViTImageProcessor does not have, such as a centre
 * crop, is refused.
 * @param json `undefined` where the file is absent
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the field
 */
export function imageProcessorConfigFrom(json: unknown, where: string): ImageProcessorConfig {
  if (json === undefined) {
    throw new ConfigError(
      `${where} is missing. It says how pictures are prepared for the classifier: copy it from the model's page.`,
    );
  }
  const config = readConfig(schema, json, where);
  const filter = resampleFilters[config.resample]!;
  return {
    resize: config.do_resize ? { ...(config.size ?? { height: 224, width: 224 }), filter } : undefined,
    rescaleFactor: config.do_rescale ? config.rescale_factor : undefined,
    normalize: config.do_normalize
      ? { mean: config.image_mean ?? [0.5, 0.5, 0.5], std: config.image_std ?? [0.5, 0.5, 0.5] }
      : undefined,
  };
}
