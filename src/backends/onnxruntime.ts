import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";

const wayOut = 'The backend "wasm" needs nothing.';

/** Imports our backend on ONNX Runtime, whose version comes back. @throws InputError where that can't be */
export async function importOnnxRuntime(): Promise<string> {
  if (!globalThis.process?.versions?.node) {
    throw new InputError(`The backend "onnxruntime" runs in Node.js only. ${wayOut}`);
  }
  return (await import("./onnxruntime/index.ts")).version();
}

/** Resolves when its thread is there. @throws InputError where ONNX Runtime does not load on this machine */
export async function waitForOnnxRuntime(): Promise<void> {
  const { OnnxRuntimeBackend } = await import("./onnxruntime/index.ts");
  try {
    await (tf.backend() as InstanceType<typeof OnnxRuntimeBackend>).flush([]);
  } catch (cause) {
    throw new InputError(`The backend "onnxruntime" can't be loaded: ${(cause as Error).message} ${wayOut}`, { cause });
  }
}
