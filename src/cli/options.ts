import { Option } from "commander";
import type { BackendName } from "../backends/choose.ts";

// The names stand here too, so that --help needs to load no backend; a test keeps them equal.
const backends: readonly BackendName[] = ["onnxruntime", "wasm", "cpu", "tensorflow"];

export function backendOption(): Option {
  return new Option("--backend <name>", "what computes: onnxruntime, wasm, cpu, or tensorflow where it is installed")
    .choices(backends)
    .default("onnxruntime");
}

export function quietOption(): Option {
  return new Option("--quiet", "show no progress");
}
