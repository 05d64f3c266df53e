import * as tf from "@tensorflow/tfjs-core";
import type { Dtype, TensorPlace, WeightSource } from "./source.ts";

/** What a backend has that keeps weights in a form of its own. */
interface KeepingBackend {
  /** A float32 tensor whose numbers stay in their file; undefined for a dtype that it can't map. */
  mapTensor?(place: TensorPlace, entry: { dtype: Dtype; shape: readonly number[] }): tf.TensorInfo | undefined;
  /** Whether weights are to be float16. */
  readonly keepsHalves?: boolean;
  /** A float32 tensor that is kept as float16, of these bits. */
  halfTensor?(bits: Uint16Array<ArrayBuffer>, shape: readonly number[]): tf.TensorInfo;
}

/** Whether the active backend computes with weights where they lie in their files. */
export function mapsWeights(): boolean {
  return "mapTensor" in tf.backend();
}

/** A tensor of a source that stays in its file; undefined where the active backend or the source has no such thing. */
export function mapTensor(source: WeightSource, name: string): tf.Tensor | undefined {
  const entry = source.entries.get(name);
  const place = source.place?.(name);
  const info = entry && place && (tf.backend() as KeepingBackend).mapTensor?.(place, entry);
  return info && tf.engine().makeTensorFromTensorInfo(info);
}

/** Whether the active backend wants weights as `halfTensor` makes them. */
export function keepsHalves(): boolean {
  return (tf.backend() as KeepingBackend).keepsHalves ?? false;
}

/** A float32 tensor that the active backend keeps as float16. It takes over the bits. */
export function halfTensor(bits: Uint16Array<ArrayBuffer>, shape: readonly number[]): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo((tf.backend() as KeepingBackend).halfTensor!(bits, shape));
}
