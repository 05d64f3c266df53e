import { InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import { type TrainingConfig, trainingConfigFrom } from "./config.ts";
import { keepingLast, type TrainingData } from "./data.ts";
import type { Dataset } from "./dataset.ts";
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
  const dataset = await openDataset(config);
  const data = keepingLast(dataset, config.samples);
  const task = await taskKinds[config.task]!.open(config.model, { seed: config.seed });
  const isRefused = "folder" in config.data && config.data.longCaptions === "refuse";
  if (isRefused && task.tokenizer) refuseLongCaptions(dataset as FolderDataset, task.tokenizer);
  return { config: output === undefined ? config : { ...config, output }, task, data };
}

async function openDataset({ data, samples, seed }: TrainingConfig): Promise<Dataset> {
  if ("folder" in data) return FolderDataset.open(data.folder, { crop: data.crop, seed });
  const { count, ...scenes } = data.scenes;
  return new ScenesDataset({ ...scenes, count: count + samples });
}

/** What of a caption does not fit would never be learnt, and nobody would know. */
function refuseLongCaptions(dataset: FolderDataset, tokenizer: Tokenizer): void {
  for (const { caption, where } of dataset.captions()) {
    const { truncated } = tokenizer.encode(caption);
    if (truncated === undefined) continue;
    throw new InputError(
      `${where}: a caption has more than the ${tokenizer.length} tokens that the text encoder takes; "${truncated}" is left over. ` +
        'Shorten it, or say "longCaptions": "cut".',
    );
  }
}
