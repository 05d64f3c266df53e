import * as tf from "@tensorflow/tfjs-core";
import type { Dtype, TensorPlace, WeightSource } from "./source.ts";

/** What a backend has that can compute with tensors where they lie in a file. */
interface MappingBackend {
  /** A float32 tensor; undefined for a dtype that it can't map. */
  mapTensor?(place: TensorPlace, entry: { dtype: Dtype; shape: readonly number[] }): tf.TensorInfo | undefined;
}

/** Whether the active backend computes with weights where they lie in their files. */
export function mapsWeights(): boolean {
  return "mapTensor" in tf.backend();
}

/** A tensor of a source that stays in its file; undefined where the active backend or the source has no such thing. */
export function mapTensor(source: WeightSource, name: string): tf.Tensor | undefined {
  const entry = source.entries.get(name);
  const place = source.place?.(name);
  const info = entry && place && (tf.backend() as MappingBackend).mapTensor?.(place, entry);
  return info && tf.engine().makeTensorFromTensorInfo(info);
}
