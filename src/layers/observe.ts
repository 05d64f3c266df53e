import * as tf from "@tensorflow/tfjs-core";
import type { Layer } from "./layer.ts";
import { StagedLayer, type Stages } from "./stages.ts";
import { layers } from "./tree.ts";

/**
 * Calls `record` with what every layer of a tree returns, under the layer's path, from now until the returned function is
 * called. No layer has a line of code for it. Of a result with several tensors the first is given, as the hooks of the
 * Python recorder do. `record` runs inside the layer's tidy: it must copy or `tf.keep` what it wants to keep.
 */
export function observe(
  root: Layer,
  record: (path: string, output: tf.Tensor) => void,
  wanted: (path: string) => boolean = () => true,
): () => void {
  return watch(root, (path) => (output) => record(path, output), wanted);
}

/** As `observe`, but `enter` is called when a layer begins, and what it returned is called with the output when it ends. */
export function watch(
  root: Layer,
  enter: (path: string) => (output: tf.Tensor) => void,
  wanted: (path: string) => boolean = () => true,
): () => void {
  const unwatch: (() => void)[] = [];
  for (const [path, layer] of layers(root)) {
    if (!wanted(path)) continue;
    if (layer instanceof StagedLayer) {
      const { stages } = layer;
      unwatch.push(() => {
        layer.stages = stages;
      });
      layer.stages = function* (...inputs: unknown[]): Stages<tf.TensorContainer> {
        const leave = enter(path);
        const output = yield* stages.apply(layer, inputs);
        leave(firstTensor(output));
        return output;
      };
    } else {
      const { apply } = layer;
      unwatch.push(() => {
        layer.apply = apply;
      });
      layer.apply = (...inputs: unknown[]) => {
        const leave = enter(path);
        const output = apply.apply(layer, inputs);
        leave(firstTensor(output));
        return output;
      };
    }
  }
  return () => {
    for (const end of unwatch) end();
  };
}

function firstTensor(output: unknown): tf.Tensor {
  if (output instanceof tf.Tensor) return output;
  return firstTensor(Object.values(output as object)[0]);
}
