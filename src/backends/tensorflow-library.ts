import * as tf from "@tensorflow/tfjs-core";

/** The native library below the backend "tensorflow". */
export interface TensorflowLibrary {
  version: string;
  /** Where it lies; null where the system does not tell. */
  path: string | null;
  seesGpu: boolean;
}

/** What tfjs-node's backend has, of which tfjs-core knows nothing. */
interface NativeBackend {
  binding: { TF_Version: string };
  isUsingGpuDevice: boolean;
}

/** The library that this process has loaded. Undefined where it has not loaded the backend. */
export function loadedTensorflow(): TensorflowLibrary | undefined {
  const backend = tf.findBackend("tensorflow") as unknown as NativeBackend | null;
  if (!backend?.binding) return undefined;
  const { sharedObjects } = process.report.getReport() as unknown as { sharedObjects: string[] };
  const path = sharedObjects.find((file) => /libtensorflow(_cc)?\.[^/]*$/.test(file)) ?? null;
  return { version: backend.binding.TF_Version, path, seesGpu: backend.isUsingGpuDevice };
}
