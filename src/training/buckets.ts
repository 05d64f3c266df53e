import type { Dataset } from "./dataset.ts";
import { Draws } from "./draws.ts";

export type Size = readonly [width: number, height: number];

export interface BucketOptions {
  /** What pictures are brought to: a bucket each. Width, height, in pixels. */
  sizes: readonly Size[];
  /** Pictures of one batch. */
  batch: number;
  seed: number;
}

/** Pictures of one size, by their numbers in the dataset. */
export interface BucketBatch {
  size: Size;
  indices: readonly number[];
}

/**
 * Batches of pictures of one shape each, so that little is cropped: SDXL's multi-aspect training (Podell et al. 2023, section
 * 2.3), as NovelAI had it first. Every picture belongs to the bucket whose shape is nearest, and none is ever left out: what an
 * epoch has too few of for a batch begins the bucket's first batch of the next.
 *
 * Any batch can be computed from the seed alone, so that a training that is resumed needs no state.
 */
export class Buckets {
  readonly #options: BucketOptions;
  readonly #members: readonly (readonly number[])[];
  readonly #orders = new Map<string, readonly number[]>();

  constructor(dataset: Pick<Dataset, "length" | "sizeOf">, options: BucketOptions) {
    this.#options = options;
    const members = options.sizes.map((): number[] => []);
    for (let i = 0; i < dataset.length; i++) members[nearestShape(dataset.sizeOf(i), options.sizes)]!.push(i);
    this.#members = members;
  }

  /** How many pictures each bucket has. */
  get counts(): number[] {
    return this.#members.map(({ length }) => length);
  }

  /** Batch number `index`, from 0. */
  batch(index: number): BucketBatch {
    const { sizes, batch } = this.#options;
    const epoch = this.#epochOf(index);
    const [bucket, number] = this.#batchesOf(epoch)[index - this.#batchesBefore(epoch)]!;
    const indices = Array.from({ length: batch }, (_, i) => this.#picture(bucket, number * batch + i));
    return { size: sizes[bucket]!, indices };
  }

  /** Full batches of a bucket in the first epochs. */
  #fullBatches(bucket: number, epochs: number): number {
    return Math.floor((epochs * this.#members[bucket]!.length) / this.#options.batch);
  }

  #batchesBefore(epoch: number): number {
    return this.#members.reduce((sum, _, bucket) => sum + this.#fullBatches(bucket, epoch), 0);
  }

  #epochOf(index: number): number {
    const length = this.#members.reduce((sum, members) => sum + members.length, 0);
    let epoch = Math.floor((index * this.#options.batch) / length); // carried pictures can only make it later
    while (this.#batchesBefore(epoch + 1) <= index) epoch++;
    return epoch;
  }

  /** The batches of an epoch, those of all buckets mixed: each the number of its bucket, and its number there. */
  #batchesOf(epoch: number): (readonly [bucket: number, number: number])[] {
    const batches = this.#members.flatMap((_, bucket) => {
      const first = this.#fullBatches(bucket, epoch);
      return Array.from(
        { length: this.#fullBatches(bucket, epoch + 1) - first },
        (_, i) => [bucket, first + i] as const,
      );
    });
    return this.#order(epoch, this.#members.length, batches.length).map((i) => batches[i]!);
  }

  /** The picture at a place in a bucket's epochs, one after the other. */
  #picture(bucket: number, place: number): number {
    const members = this.#members[bucket]!;
    const order = this.#order(Math.floor(place / members.length), bucket, members.length);
    return members[order[place % members.length]!]!;
  }

  /** The order of so many things in an epoch, kept while it is likely to be asked for again. */
  #order(epoch: number, of: number, length: number): readonly number[] {
    const key = `${epoch} ${of}`;
    let order = this.#orders.get(key);
    if (!order) {
      // Another seed than that of the steps' draws.
      order = shuffled(length, new Draws(this.#options.seed + 0x5bd1e995, epoch * (this.#members.length + 1) + of));
      if (this.#orders.size > 4 * this.#members.length) this.#orders.clear();
      this.#orders.set(key, order);
    }
    return order;
  }
}

/** By the logarithm of width / height, so that 2:1 is as far from 1:1 as 1:2 is. */
function nearestShape([width, height]: Size, sizes: readonly Size[]): number {
  const distances = sizes.map(([w, h]) => Math.abs(Math.log(width / height) - Math.log(w / h)));
  return distances.indexOf(Math.min(...distances));
}

/** Durstenfeld's shuffle (1964) of 0 … length − 1. */
function shuffled(length: number, draws: Draws): number[] {
  const order = Array.from({ length }, (_, i) => i);
  const chances = draws.uniform(length);
  for (let i = length - 1; i > 0; i--) {
    const j = Math.floor(chances[i]! * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
