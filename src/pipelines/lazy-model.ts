import * as tf from "@tensorflow/tfjs-core";
import { weightBytes } from "../backends/index.ts";
import type { Layer } from "../layers/layer.ts";
import type { Parameter } from "../layers/parameter.ts";
import { streamedSize } from "../layers/stages.ts";
import { disposeWeights, parameters } from "../layers/tree.ts";
import { checkWeights, loadWeights, mapsWeights, type WeightSource } from "../weights/index.ts";
import type { Progress } from "./request.ts";

interface LoadOptions {
  /** Whether the weights are read block by block whenever the model runs; otherwise they are in memory. */
  streamed?: boolean | undefined;
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** A model whose weights are read when they are needed, and can be freed and read again. */
export class LazyModel<M extends Layer = Layer> {
  /** What the pipeline's folder calls it. */
  readonly name: string;
  readonly model: M;
  readonly #open: () => Promise<WeightSource>;
  /** The backends that may hold some of the weights: tfjs moves a tensor to the one that uses it. */
  readonly #homes = new Set<tf.KernelBackend>();
  #isStreamed = false;

  constructor(name: string, model: M, open: () => Promise<WeightSource>) {
    this.name = name;
    this.model = model;
    this.#open = open;
  }

  /** What the weights take in memory on the active backend. */
  get bytes(): number {
    return [...parameters(this.model)].reduce((sum, [, parameter]) => sum + bytesOf(parameter), 0);
  }

  /** The most that they take where they are read block by block; the same where the backend leaves them in their file anyway. */
  get streamedBytes(): number {
    return mapsWeights() ? this.bytes : streamedSize(this.model, bytesOf);
  }

  /** What is in memory now. */
  get loadedBytes(): number {
    return [...parameters(this.model)].reduce((sum, [, one]) => sum + (one.isLoaded ? bytesOf(one) : 0), 0);
  }

  /** Whether the weights are there: they go with a backend that is removed. */
  get isLoaded(): boolean {
    const present = new Set(Object.values(tf.engine().registry));
    return this.#homes.size > 0 && [...this.#homes].every((home) => present.has(home));
  }

  /** Looks whether the weights are there and fit, without reading them. @throws WeightsError where they do not */
  async check(): Promise<void> {
    if (this.isLoaded) return;
    const source = await this.#open();
    try {
      checkWeights(this.model, source);
    } finally {
      await source.close();
    }
  }

  /** Reads the weights, unless they are there. @throws WeightsError where they do not fit the model */
  async load({ signal, onProgress, streamed = false }: LoadOptions = {}): Promise<void> {
    if (this.isLoaded && streamed === this.#isStreamed) {
      this.#homes.add(tf.backend());
      return;
    }
    this.unload();
    const source = await this.#open();
    try {
      const task = `reading ${this.name}`;
      const tell = (done: number, total: number) => onProgress?.({ task, done, total });
      await loadWeights(this.model, source, { signal, onProgress: tell, streamed });
      this.#isStreamed = streamed;
      this.#homes.add(tf.backend());
    } finally {
      await source.close();
    }
  }

  /** Frees the weights. */
  unload(): void {
    disposeWeights(this.model);
    this.#homes.clear();
  }
}

function bytesOf({ shape }: Parameter): number {
  return weightBytes(tf.getBackend(), shape);
}
