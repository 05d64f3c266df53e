import { InputError } from "../errors.ts";
import { captionsOf, drawScene, labelsOf, randomScene, usualMascots } from "../scenes/index.ts";
import type { Dataset, Example } from "./dataset.ts";

export interface ScenesOptions {
  seed: number;
  /** How many scenes; the i-th is the same whatever this is. */
  count: number;
  /** Sizes in turn: the i-th scene counts as one of the i-th. Each is drawn in whatever size is asked for. */
  sizes?: readonly (readonly [width: number, height: number])[];
  /** The share of scenes that show a mascot: a classifier needs more of them than a model that draws. */
  mascots?: number | undefined;
}

/** Scenes that are drawn when they are read, none of them of a held-out combination. Their captions: Japanese, English. */
export class ScenesDataset implements Dataset {
  readonly length: number;
  readonly #seed: number;
  readonly #sizes: readonly (readonly [width: number, height: number])[];
  readonly #mascots: number;

  /** @throws InputError where there are no scenes, or no sizes */
  constructor({ seed, count, sizes = [[64, 64]], mascots = usualMascots }: ScenesOptions) {
    if (!(Number.isSafeInteger(count) && count > 0)) throw new InputError(`${count} scenes can't be made: 1 at least.`);
    if (sizes.length === 0) throw new InputError("Scenes need at least one size to be drawn in.");
    this.length = count;
    this.#seed = seed;
    this.#sizes = sizes;
    this.#mascots = mascots;
  }

  sizeOf(index: number): readonly [width: number, height: number] {
    return this.#sizes[index % this.#sizes.length]!;
  }

  /** Drawn anew at that size, so nothing is ever cropped. @throws InputError where a side is under 32 pixels */
  async read(index: number, width: number, height: number): Promise<Example> {
    const scene = randomScene(this.#seed, index, "training", this.#mascots);
    return {
      picture: drawScene(scene, width, height),
      key: `${this.#seed} ${index}`,
      captions: captionsOf(scene, this.#seed, index),
      labels: labelsOf(scene),
      original: [width, height],
      crop: [0, 0],
    };
  }
}
