import type * as tf from "@tensorflow/tfjs-core";
import type * as z from "zod";
import type { Task } from "./task.ts";

export interface OpenTaskOptions {
  /** Of the training: weights that no file has are drawn from it. */
  readonly seed: number;
}

/** How a configuration file says what is trained, and what becomes of it. */
export interface TaskKind<Model extends z.ZodObject = z.ZodObject, Stage extends z.ZodObject = z.ZodObject> {
  /**
   * The fields of `model`: paths of folders, by the names of `Task.models` and of what is frozen. Each has a config.json; its
   * weights are loaded where it has some, and must be there where it is frozen.
   */
  readonly model: Model;
  /** The fields that a stage has for this task alone: what `Task.trained`, `prepare` and `loss` are given as `stage`. */
  readonly stage: Stage;
  /** @throws InputError where a folder has not what is needed */
  open(model: z.output<Model>, options: OpenTaskOptions): Promise<Task<tf.TensorContainer, z.output<Stage>>>;
}
