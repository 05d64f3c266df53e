import type * as tf from "@tensorflow/tfjs-core";
import type { Picture } from "../image/index.ts";
import type { Layer, Parameter } from "../layers/index.ts";
import type { Named } from "../layers/tree.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import type { Example } from "./dataset.ts";
import type { Draws } from "./draws.ts";

/** What is trained, and by what loss. The trainer knows nothing else of a model. */
export interface Task<Batch extends tf.TensorContainer = tf.TensorContainer, Stage = unknown> {
  /**
   * The models whose weights a checkpoint holds, by the names of their folders: "unet", "vae". What has no folder in the
   * configuration is of use in training alone, as a learned temperature, and is not written at the end.
   */
  readonly models: Readonly<Record<string, Layer>>;
  /** What cuts captions into tokens, where there are captions: how long they may be. */
  readonly tokenizer?: Tokenizer;
  /** The weights that are trained, by "model.path". The others are frozen. */
  trained(stage: Stage): readonly Named<Parameter>[];
  /**
   * What one batch's loss takes: pictures as tensors or latents, texts as ids or states, times and noise drawn. The same draws give
   * the same batch. All examples are of one size. The trainer frees it.
   */
  prepare(examples: readonly Example[], draws: Draws, stage: Stage): Promise<Batch>;
  /** The mean loss of a batch, a scalar: plain operations of tfjs, which the trainer differentiates. */
  loss(batch: Batch, stage: Stage): tf.Scalar;
  /**
   * How far the training is, shown on examples that are kept from it. Given the weights that would be kept, averaged where there
   * is an average.
   */
  sample?(examples: readonly Example[], signal?: AbortSignal): Promise<Samples>;
  /** Fields of models' config.json files that follow from the weights, by the models' names; known at the end. */
  finish?(examples: readonly Example[]): Promise<Readonly<Record<string, Readonly<Record<string, unknown>>>>>;
}

export interface Samples {
  /** To be looked at in rows of `columns`; none where there is nothing to see. */
  readonly pictures: readonly Picture[];
  readonly columns?: number;
  /** To be written into the log: { psnr: 30.1 }. */
  readonly figures?: Readonly<Record<string, number>>;
}
