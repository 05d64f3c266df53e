import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { WeightsError } from "../errors.ts";
import { isTemporaryName, reading } from "../files.ts";
import type { Named } from "../layers/tree.ts";
import { areFinite, fromFloat32, toFloat32 } from "../weights/dtypes.ts";
import { type LazyTensor, openSafetensors, type WeightSource, writeSafetensors } from "../weights/index.ts";
import { stageEnds, type TrainingConfig } from "./config.ts";

/** What a checkpoint says of itself. */
export interface CheckpointHeader {
  /** Steps that are done. */
  readonly step: number;
  /** Steps since the optimizer began: it corrects its averages by their number. */
  readonly optimizerStep: number;
  /** What it was trained by. */
  readonly config: TrainingConfig;
  /** Pictures that the data had. */
  readonly examples: number;
  /** What computed. */
  readonly backend: string;
}

/** A checkpoint that is being read. */
export interface OpenCheckpoint extends CheckpointHeader {
  readonly path: string;
  /**
   * Brings a tensor.
   * @throws WeightsError where it is not there, or has another shape
   */
  read(name: string, shape: readonly number[]): Promise<tf.Tensor>;
  close(): Promise<void>;
}

/** The last two are kept: were the disk to damage the newer, there is the older. */
const generations = 2;

/**
 * Writes `checkpoint-STEP.safetensors`, whole or not at all, and then removes those before it, but the last two and the ends of
 * stages, which another training may begin with. The tensors are in tfjs's layout, bit for bit: a checkpoint is there to go on
 * from, the models' own files are there to be used.
 *
 * @throws InputError where it can't be written, WeightsError where a number is not finite; what was there before stays
 */
export async function writeCheckpoint(
  folder: string,
  header: CheckpointHeader,
  tensors: readonly Named<tf.Tensor>[],
): Promise<void> {
  const path = join(folder, checkpointName(header.step));
  const lazy = tensors.map(
    ([name, tensor]): LazyTensor => ({
      name,
      shape: tensor.shape,
      dtype: "F32",
      pieces: () => bytesOf(tensor, name, path),
    }),
  );
  await writeSafetensors(path, lazy, {
    metadata: { format: "tfjs-diffusion checkpoint 1", header: JSON.stringify(header) },
  });
  const ends = new Set(stageEnds(header.config).map(checkpointName));
  for (const old of (await checkpointsIn(folder)).slice(generations)) {
    if (!ends.has(old)) await rm(join(folder, old), { force: true });
  }
}

function checkpointName(step: number): string {
  return `checkpoint-${String(step).padStart(8, "0")}.safetensors`;
}

async function* bytesOf(tensor: tf.Tensor, name: string, path: string): AsyncGenerator<Uint8Array> {
  const values = (await tensor.data()) as Float32Array;
  if (!areFinite(values)) throw new WeightsError(`${path} is not written: "${name}" has numbers that are not finite.`);
  yield fromFloat32(values, "F32");
}

/** The names of the checkpoints of a folder, the newest first. */
async function checkpointsIn(folder: string): Promise<string[]> {
  const names = await reading(folder, readdir(folder));
  return names
    .filter((name) => /^checkpoint-\d{8,}\.safetensors$/.test(name))
    .sort(byNumber)
    .reverse();
}

function byNumber(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : 1);
}

/**
 * The newest checkpoint of a folder that can be read; undefined where there is none.
 * @param onDamaged told of those that can't be read
 * @throws WeightsError where there are some, and none can be read
 */
export async function openNewestCheckpoint(
  folder: string,
  onDamaged: (message: string) => void,
): Promise<OpenCheckpoint | undefined> {
  const names = await checkpointsIn(folder);
  for (const [i, name] of names.entries()) {
    try {
      return openedCheckpoint(await openSafetensors(join(folder, name)));
    } catch (error) {
      if (!(error instanceof WeightsError) || i === names.length - 1) throw error;
      onDamaged(`${error.message} The checkpoint before it is used.`);
    }
  }
  return undefined;
}

function openedCheckpoint(source: WeightSource): OpenCheckpoint {
  const { path, metadata, entries } = source;
  if (metadata.format !== "tfjs-diffusion checkpoint 1")
    throw new WeightsError(`${path} is no checkpoint of a training.`);
  return {
    ...(JSON.parse(metadata.header!) as CheckpointHeader),
    path,
    read: async (name, shape) => {
      const entry = entries.get(name);
      if (!entry) throw new WeightsError(`${path} has no tensor "${name}": it is of another model.`);
      if (String(entry.shape) !== String(shape)) {
        throw new WeightsError(
          `${path}: "${name}" is [${entry.shape}], and [${shape}] in the model: it is of another model.`,
        );
      }
      return tf.tensor(toFloat32(await source.read(name), entry.dtype), [...shape], "float32");
    },
    close: () => source.close(),
  };
}

/** Removes what a kill left of files that were being written to a folder, where there is such a folder. */
export async function removePartialFiles(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (isTemporaryName(name)) await rm(join(folder, name), { force: true });
  }
}
