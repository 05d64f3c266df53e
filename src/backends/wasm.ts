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
        `The memory of the backend "wasm" is full: it holds 4 GB at most, and a tensor of ${bytes} bytes has no room.`,
      );
    }
    return address;
  };
}

const guarded = new WeakSet<WasmModule>();
