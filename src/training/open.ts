import { readJsonFile } from "../files.ts";
import { type TrainingConfig, trainingConfigFrom } from "./config.ts";
import { keepingLast, type TrainingData } from "./data.ts";
import { FolderDataset } from "./folder-dataset.ts";
import { ScenesDataset } from "./scenes.ts";
import type { Task } from "./task.ts";
import { taskKinds } from "./tasks/kinds.ts";

/** A training that is ready to be run. */
export interface Training {
  readonly config: TrainingConfig;
  readonly task: Task;
  readonly data: TrainingData;
}

/**
 * Reads the configuration file of a training, and opens its models and its data. Paths in it are relative to the current folder,
 * as on a command line.
 * @param output where it is not to be the file's
 * @throws InputError where a file can't be read, ConfigError where a field is wrong
 */
export async function openTraining(path: string, { output }: { output?: string | undefined } = {}): Promise<Training> {
  const config = trainingConfigFrom(await readJsonFile(path), path, taskKinds);
  const data = await openData(config);
  const task = await taskKinds[config.task]!.open(config.model, { seed: config.seed });
  return { config: output === undefined ? config : { ...config, output }, task, data };
}

async function openData({ data, samples, seed }: TrainingConfig): Promise<TrainingData> {
  if ("folder" in data) return keepingLast(await FolderDataset.open(data.folder, { crop: data.crop, seed }), samples);
  const { count, ...scenes } = data.scenes;
  return keepingLast(new ScenesDataset({ ...scenes, count: count + samples }), samples);
}
