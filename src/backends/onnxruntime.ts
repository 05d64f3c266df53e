import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import type { OnnxRuntimeBackend } from "./onnxruntime/index.ts";
import { areEqual, checkOptions, type OnnxRuntimeOptions } from "./onnxruntime/options.ts";

const wayOut = 'The backend "wasm" needs nothing.';

/**
 * Imports our backend on ONNX Runtime, and has tfjs use it with these options. Its version comes back.
 * @throws InputError where it does not load on this machine, or an option can't be had; what there was stays
 */
export async function importOnnxRuntime(options?: OnnxRuntimeOptions): Promise<string> {
  if (!globalThis.process?.versions?.node) {
    throw new InputError(`The backend "onnxruntime" runs in Node.js only. ${wayOut}`);
  }
  const { backendName, OnnxRuntimeBackend, version } = await import("./onnxruntime/index.ts");
  const live = tf.engine().registry[backendName] as OnnxRuntimeBackend | undefined;
  if (!live || (options && !areEqual(options, live.options))) {
    checkOptions(options ?? {});
    await refuseMissing(options ?? {});
    const made = await started(new OnnxRuntimeBackend(options));
    if (tf.findBackendFactory(backendName)) tf.removeBackend(backendName);
    tf.registerBackend(
      backendName,
      firstThenMore(made, () => new OnnxRuntimeBackend(options)),
      3,
    );
  }
  return version();
}

/** @throws InputError with the reason where a device does not work on this machine, or not in this precision */
async function refuseMissing({ device = "cpu", precision }: OnnxRuntimeOptions): Promise<void> {
  if (device === "cpu") return;
  const { probeDevice } = await import("./onnxruntime/probe.ts");
  const report = await probeDevice(device);
  if (!report.works) throw new InputError(report.reason);
  if (precision === "float16" && !report.float16) {
    throw new InputError(
      `The precision "float16" can't be had on the device "${device}" here: its driver has no arithmetic in float16 (WebGPU's ` +
        'feature "shader-f16"). Use the precision "float32", or the device "cpu", where float16 halves the weights.',
    );
  }
}

/** The backend, when its thread is there. */
async function started(backend: OnnxRuntimeBackend): Promise<OnnxRuntimeBackend> {
  try {
    await backend.flush([]);
    return backend;
  } catch (cause) {
    backend.dispose();
    throw new InputError(`The backend "onnxruntime" can't be loaded: ${(cause as Error).message} ${wayOut}`, { cause });
  }
}

/** Gives what is there already the first time, and makes another one each time after. */
function firstThenMore<T>(first: T, make: () => T): () => T {
  let next: T | undefined = first;
  return () => {
    const given = next ?? make();
    next = undefined;
    return given;
  };
}
