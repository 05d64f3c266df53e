import { InputError } from "../errors.ts";
import type { Dataset } from "./dataset.ts";

/** The pictures that are learnt from, and those that are kept to see what was learnt. */
export interface TrainingData {
  readonly training: Dataset;
  readonly kept: Dataset;
}

/** Keeps the last pictures of a dataset from training. @throws InputError where none would be left */
export function keepingLast(dataset: Dataset, kept: number): TrainingData {
  const rest = dataset.length - kept;
  if (rest > 0) return { training: part(dataset, 0, rest), kept: part(dataset, rest, kept) };
  throw new InputError(
    `The data have ${dataset.length} pictures, of which "samples" would keep ${kept}: there must be more of them, or fewer kept.`,
  );
}

function part(dataset: Dataset, first: number, length: number): Dataset {
  return {
    length,
    sizeOf: (index) => dataset.sizeOf(first + index),
    read: (index, width, height) => dataset.read(first + index, width, height),
  };
}
