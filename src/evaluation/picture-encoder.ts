import { stat } from "node:fs/promises";
import { join } from "node:path";
import type * as tf from "@tensorflow/tfjs-core";
import { fieldsOf } from "../config.ts";
import { ConfigError, InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { ImageProcessor, imageProcessorConfigFrom, type Picture } from "../image/index.ts";
import { runStages } from "../layers/index.ts";
import { ClipVisionModel } from "../models/clip-vision.ts";
import { clipVisionConfigFrom } from "../models/clip-vision-config.ts";
import { LazyModel, type Progress } from "../pipelines/index.ts";
import { readJsonIfThere } from "../pipelines/models-in.ts";
import { preparedPictures } from "../pipelines/picture-tensors.ts";
import { openModelFolder, openWeights, partOf } from "../weights/index.ts";

export interface FeatureOptions {
  signal?: AbortSignal | undefined;
  /** Of reading weights. */
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** CLIP's image tower with its way to prepare pictures: pictures to vectors, on the active backend. */
export class PictureEncoder {
  readonly #model: LazyModel<ClipVisionModel>;
  readonly #processor: ImageProcessor;

  constructor(model: LazyModel<ClipVisionModel>, processor: ImageProcessor) {
    this.#model = model;
    this.#processor = processor;
  }

  /** The pooled vector of each picture, as the tower projects it; not normalized. All at once: give as many as memory allows. */
  async features(pictures: readonly Picture[], options: FeatureOptions = {}): Promise<Float32Array[]> {
    await this.#model.load(options);
    const batch = preparedPictures(pictures, this.#processor);
    try {
      const { pooled, lastHiddenState } = await runStages(this.#model.model.stages(batch), options);
      lastHiddenState.dispose();
      return await rowsOf(pooled);
    } finally {
      batch.dispose();
    }
  }

  /** Frees the weights. */
  dispose(): void {
    this.#model.unload();
  }
}

/** The rows of a matrix, which is freed. */
async function rowsOf(matrix: tf.Tensor2D): Promise<Float32Array[]> {
  try {
    const data = await matrix.data<"float32">();
    const [rows, columns] = matrix.shape;
    return Array.from({ length: rows }, (_, i) => data.slice(i * columns, (i + 1) * columns));
  } finally {
    matrix.dispose();
  }
}

/**
 * Opens the image tower of a pipeline's folder, a component of it or beside its components under `image_encoder`, or that of a
 * CLIP as transformers saves one, with or without its text tower. Weights are read when they are needed.
 *
 * @throws InputError, ConfigError where there is none, or its kind is not supported
 */
export async function openPictureEncoder(path: string): Promise<PictureEncoder> {
  const folder = (await isFile(join(path, "model_index.json"))) ? await imageEncoderOf(path) : path;
  const where = join(folder, "config.json");
  const json = fieldsOf(await readJsonFile(where), where);
  const isJoined = json.vision_config !== undefined;
  if (!isJoined && json.model_type !== "clip_vision_model") {
    throw new ConfigError(`${where} is of no image tower of CLIP's: neither a clip_vision_model nor a model with one.`);
  }
  const model = new ClipVisionModel(clipVisionConfigFrom(isJoined ? withProjection(json, where) : json, where));
  const processorPath = join(folder, "preprocessor_config.json");
  const processor = new ImageProcessor(imageProcessorConfigFrom(await readJsonIfThere(processorPath), processorPath));
  const lazy = new LazyModel("image encoder", model, async () => {
    const source = await openWeights(folder);
    return isJoined ? partOf(source, (name) => /^(vision_model|visual_projection)\./.test(name)) : source;
  });
  return new PictureEncoder(lazy, processor);
}

/** The width of the projection may be said outside of vision_config. */
function withProjection(json: Record<string, unknown>, where: string): Record<string, unknown> {
  const vision = fieldsOf(json.vision_config, `${where}, vision_config`);
  return {
    vision_config: { ...(json.projection_dim !== undefined && { projection_dim: json.projection_dim }), ...vision },
  };
}

async function imageEncoderOf(path: string): Promise<string> {
  const { components } = await openModelFolder(path);
  const component = components.find(({ className }) => /^CLIPVisionModel/.test(className));
  const folder = component?.folder ?? join(path, "image_encoder");
  if (await isFile(join(folder, "config.json"))) return folder;
  throw new InputError(
    `The model in ${path} has no image tower: neither a CLIPVisionModel in model_index.json nor a folder image_encoder. ` +
      "Give the folder of a CLIP.",
  );
}

export async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
