import * as tf from "@tensorflow/tfjs-core";
import { withoutItsHandlers } from "../emscripten.ts";
import { InputError } from "../errors.ts";
import type { OnnxRuntimeOptions } from "./onnxruntime/options.ts";
import { importOnnxRuntime } from "./onnxruntime.ts";
import { importTensorflow, prepareTensorflow } from "./tensorflow.ts";
import { importWasm, refuseFullMemory, wasmLimit, wasmLimitReason } from "./wasm.ts";

/** How a backend computes. Only "onnxruntime" has options; any other refuses them by name. */
export type BackendOptions = OnnxRuntimeOptions;

interface Backend {
  /** What tfjs calls it. */
  tfjsName: string;
  /** Imports it. The version comes back. */
  load: (options?: BackendOptions) => Promise<string>;
  hasOptions?: boolean;
  /** Called once it is the active one. */
  ready?: () => void | Promise<void>;
  /** The most that it can hold, in bytes, where it can't use all the memory there is. */
  memoryLimit?: number;
  limitReason?: string;
  /** Whether it keeps a second copy of every filter of a convolution, arranged for its kernels. */
  copiesFilters?: boolean;
}

/** What may run the models, by the name of our option. */
const backends = {
  onnxruntime: { tfjsName: "onnxruntime", load: importOnnxRuntime, hasOptions: true },
  wasm: {
    tfjsName: "wasm",
    load: importWasm,
    ready: refuseFullMemory,
    memoryLimit: wasmLimit,
    limitReason: wasmLimitReason,
    copiesFilters: true,
  },
  cpu: { tfjsName: "cpu", load: async () => (await import("@tensorflow/tfjs-backend-cpu")).version_cpu },
  tensorflow: { tfjsName: "tensorflow", load: importTensorflow, ready: prepareTensorflow },
} satisfies Record<string, Backend>;

export type BackendName = keyof typeof backends;

export const backendNames = Object.keys(backends) as BackendName[];

export function isBackendName(name: string): name is BackendName {
  return Object.hasOwn(backends, name);
}

/** What is used where nothing is said: in Node.js the fast one, elsewhere the one that needs nothing. */
export const defaultBackend: BackendName = globalThis.process?.versions?.node ? "onnxruntime" : "wasm";

/**
 * Loads a tfjs backend and makes it the active one. Its version comes back. Where it is loaded already, it stays, unless other
 * options are given: then a new one takes its place, and the tensors of the old one are gone, weights of models among them.
 * @throws InputError with the reason where it can't be had, or has no such option; the backend before stays the active one
 */
export async function useBackend(name: BackendName, options?: BackendOptions): Promise<string> {
  if (!Object.hasOwn(backends, name)) {
    throw new InputError(`There is no backend "${name}". There are ${backendNames.join(", ")}.`);
  }
  const { tfjsName, load, ready, hasOptions }: Backend = backends[name];
  if (!hasOptions) refuseOptions(name, options);
  try {
    const version = await load(options);
    if (await withoutItsHandlers(() => tf.setBackend(tfjsName))) {
      // Before its first work "cpu" would print an advertisement of another backend. A library prints nothing.
      Object.assign(tf.backend(), { firstUse: false });
      await ready?.();
      return version;
    }
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError(`The backend "${name}" can't be loaded: ${(cause as Error).message}`, { cause });
  }
  throw new InputError(`The backend "${name}" does not work on this machine.`);
}

/** @throws InputError that names an option which is given to a backend without options */
function refuseOptions(name: BackendName, options: BackendOptions = {}): void {
  const given = Object.entries(options).find(([, value]) => value !== undefined);
  if (given) throw new InputError(`The backend "${name}" has no option "${given[0]}": only "onnxruntime" has options.`);
}

/** The bytes that a backend of tfjs can hold at most; infinite where that is all the memory there is. */
export function memoryLimit(name: string): number {
  return known(name)?.memoryLimit ?? Number.POSITIVE_INFINITY;
}

/** Why a backend can hold no more, as a part of a sentence. */
export function limitReason(name: string): string {
  return known(name)?.limitReason ?? "";
}

/** The bytes that a weight of some shape takes on a backend of tfjs, in use. */
export function weightBytes(name: string, shape: readonly number[]): number {
  const isFilter = shape.length === 4;
  const live = tf.engine().registry[name] as { keepsHalves?: boolean } | undefined;
  return (
    (live?.keepsHalves ? 2 : 4) * tf.util.sizeFromShape([...shape]) * (isFilter && known(name)?.copiesFilters ? 2 : 1)
  );
}

function known(name: string): Backend | undefined {
  return Object.hasOwn(backends, name) ? backends[name as BackendName] : undefined;
}
