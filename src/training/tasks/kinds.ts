import type { TaskKind } from "../kind.ts";
import { autoencoderTask } from "./autoencoder.ts";
import { classifierTask } from "./classifier.ts";
import { clipTask } from "./clip.ts";
import { unetTask } from "./unet.ts";

/** What can be trained, by the name that a configuration file gives it. */
export const taskKinds: Readonly<Record<string, TaskKind>> = {
  autoencoder: autoencoderTask,
  classifier: classifierTask,
  clip: clipTask,
  unet: unetTask,
};
