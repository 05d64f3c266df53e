import type * as tf from "@tensorflow/tfjs-core";
import type { Picture } from "../image/index.ts";
import type { Layer, Parameter } from "../layers/index.ts";
import type { Named } from "../layers/tree.ts";
import type { Example } from "./dataset.ts";
import type { Draws } from "./draws.ts";

/** What is trained, and by what loss. The trainer knows nothing else of a model. */
export interface Task<Batch extends tf.TensorContainer = tf.TensorContainer, Stage = unknown> {
  /** The models whose weights a checkpoint holds, by the names of their folders: "unet", "vae". */
  readonly models: Readonly<Record<string, Layer>>;
  /** The weights that are trained, by "model.path". The others are frozen. */
  trained(stage: Stage): readonly Named<Parameter>[];
  /**
   * What one batch's loss takes: pictures as tensors or latents, texts as ids or states, times and noise drawn. The same draws give
   * the same batch. All examples are of one size. The trainer frees it.
   */
  prepare(examples: readonly Example[], draws: Draws, stage: Stage): Promise<Batch>;
  /** The mean loss of a batch, a scalar: plain operations of tfjs, which the trainer differentiates. */
  loss(batch: Batch, stage: Stage): tf.Scalar;
  /** Pictures that show how far the training is. Given the weights that would be kept, averaged where there is an average. */
  sample?(signal?: AbortSignal): Promise<readonly Picture[]>;
}
