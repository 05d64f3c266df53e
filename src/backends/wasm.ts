import * as tf from "@tensorflow/tfjs-core";
import { MemoryError } from "../errors.ts";
import { freePackedFilters } from "./wasm-conv2d.ts";
import { speedUpWasmMatMul } from "./wasm-matmul.ts";

/** Imports tfjs's backend on WebAssembly and makes it fast. The version comes back. */
export async function importWasm(): Promise<string> {
  const { version_wasm } = await import("@tensorflow/tfjs-backend-wasm");
  speedUpWasmMatMul();
  freePackedFilters();
  return version_wasm;
}

/** Bytes. tfjs compiles it for addresses of 32 bits. */
export const wasmLimit = 4 * 2 ** 30;

export const wasmLimitReason = "however much the machine has: WebAssembly's addresses have 32 bits";

interface WasmModule {
  _malloc(bytes: number): number;
  _free(address: number): void;
}

/**
 * Has the active wasm backend throw a MemoryError where its memory is full. tfjs takes no notice, and writes the tensor over
 * what lies at the beginning of the memory.
 */
export function refuseFullMemory(): void {
  const { wasm } = tf.backend() as unknown as { wasm: WasmModule };
  if (guarded.has(wasm)) return;
  guarded.add(wasm);
  wasm._free(wasm._malloc(1)); // the first call puts another function in its place
  const allocate = wasm._malloc;
  wasm._malloc = (bytes) => {
    const address = allocate(bytes);
    if (address === 0 && bytes > 0) {
      throw new MemoryError(
        `The memory of the backend "wasm" is full: a tensor of ${bytes} bytes has no room in its 4 GB, which are all it can ` +
          `have, ${wasmLimitReason}. Compute something smaller, load weights with { streamed: true }, or use another ` +
          "backend: onnxruntime has no such limit.",
      );
    }
    return address;
  };
}

const guarded = new WeakSet<WasmModule>();
