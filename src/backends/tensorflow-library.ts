import * as tf from "@tensorflow/tfjs-core";
import type { NodeBackend } from "./tensorflow-node.ts";

/** The native library below the backend "tensorflow". */
export interface TensorflowLibrary {
  version: string;
  /** Where it lies; null where the system does not tell. */
  path: string | null;
  seesGpu: boolean;
}

/** The library that this process has loaded. Undefined where it has not loaded the backend. */
export function loadedTensorflow(): TensorflowLibrary | undefined {
  const backend = tf.findBackend("tensorflow") as NodeBackend | null;
  if (!backend?.binding) return undefined;
  const { binding } = backend;
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const path = sharedObjects.find((file) => /libtensorflow(_cc)?\.[^/]*$/.test(file)) ?? null;
  return { version: binding.TF_Version, path, seesGpu: binding.isUsingGpuDevice() };
}
