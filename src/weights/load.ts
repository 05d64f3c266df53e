import * as tf from "@tensorflow/tfjs-core";
import { WeightsError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { parameters } from "../layers/tree.ts";
import { toFloat32 } from "./dtypes.ts";
import type { WeightSource } from "./source.ts";

export interface LoadOptions {
  signal?: AbortSignal | undefined;
  /** Called after every tensor with the bytes read so far and the bytes to read. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Fills the parameters of a model from a source. Names and shapes must agree, both ways. */
export async function loadWeights(model: Layer, source: WeightSource, _options: LoadOptions = {}): Promise<void> {
  for (const [name, parameter] of parameters(model)) {
    const entry = source.entries.get(name);
    if (!entry) throw new WeightsError(`${source.path} has no tensor ${name}.`);
    const stored = tf.tensor(toFloat32(await source.read(name), entry.dtype), [...entry.shape]);
    const value = tf.transpose(stored, [...parameter.axes]);
    stored.dispose();
    parameter.assign(value);
  }
}
