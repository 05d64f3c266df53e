import { speedUpWasmMatMul } from "./wasm-matmul.ts";

/** Imports tfjs's backend on WebAssembly and makes it fast. The version comes back. */
export async function importWasm(): Promise<string> {
  const { version_wasm } = await import("@tensorflow/tfjs-backend-wasm");
  speedUpWasmMatMul();
  return version_wasm;
}
