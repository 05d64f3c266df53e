import * as tf from "@tensorflow/tfjs-core";
import { type Layer, layers, observe } from "../../src/layers/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import type { Subject } from "../accuracy/table.js";
import { expectAccurate } from "./accuracy.ts";
import { readTensor, relativeError } from "./expected.ts";

/**
 * Runs a model and compares what each of its layers returns with what the reference recorded as `observed.<path>`.
 * @returns the relative error of each layer by its path, in the order in which the layers ended: the first that is too
 * large is where the mistake is. A layer without a record, or that did not run, has NaN.
 */
export async function observedErrors(
  model: Layer,
  source: WeightSource,
  run: () => void,
): Promise<Map<string, number>> {
  const outputs = new Map<string, tf.Tensor>();
  const stop = observe(model, (path, output) => outputs.set(path, tf.keep(tf.clone(output))), Boolean);
  try {
    run();
  } finally {
    stop();
  }
  const errors = new Map<string, number>();
  for (const [path, output] of outputs) {
    if (source.entries.has(`observed.${path}`)) {
      const stored = source.entries.get(`observed.${path}`)!.shape;
      const wanted = await readTensor(source, `observed.${path}`, stored.length === 4 ? "nhwc" : undefined);
      // The same numbers may stand as [B, H, W, C] here and as [B, H · W, C] there.
      const shaped = output.size === wanted.size ? tf.reshape(output, wanted.shape) : output;
      errors.set(path, await relativeError(shaped, wanted));
      tf.dispose([wanted, shaped]);
    } else {
      errors.set(path, Number.NaN);
    }
    output.dispose();
  }
  for (const [path] of layers(model)) if (path && !errors.has(path)) errors.set(path, Number.NaN);
  return errors;
}

/** Expects every layer to be within the tolerance. The first that is not is named: that is where the mistake is. */
export function expectAccurateLayers(subject: Subject, errors: Map<string, number>): void {
  for (const [path, error] of errors) expectAccurate(subject, error, `${path} is the first layer that diverges`);
}
