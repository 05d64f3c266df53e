import { Option } from "commander";
import type { BackendName, BackendOptions } from "../backends/choose.ts";
import { devices, precisions } from "../backends/onnxruntime/options.ts";
import { integer } from "./numbers.ts";

// The names stand here too, so that --help needs to load no backend; a test keeps them equal.
const backends: readonly BackendName[] = ["onnxruntime", "wasm", "cpu", "tensorflow"];

/** What the four options below say. */
export interface BackendChoice extends Pick<BackendOptions, "device" | "precision" | "threads"> {
  backend: BackendName;
}

export function backendOption(): Option {
  return new Option("--backend <name>", "what computes: onnxruntime, wasm, cpu, or tensorflow where it is installed")
    .choices(backends)
    .default("onnxruntime");
}

export function deviceOption(): Option {
  return new Option(
    "--device <name>",
    "of onnxruntime: cpu, webgpu for any GPU, cuda for NVIDIA's; doctor shows which work (default: cpu)",
  ).choices(devices);
}

export function precisionOption(): Option {
  return new Option(
    "--precision <name>",
    "of onnxruntime: float32 is exact, float16 takes half the memory (default: float32)",
  ).choices(precisions);
}

export function threadsOption(): Option {
  return new Option(
    "--threads <n>",
    "of onnxruntime: how many compute; the last digits of results differ by it (default: one for each core)",
  ).argParser(integer({ min: 1, max: 1024 }));
}

/** How the backend is to compute, where anything was said of it. */
export function backendOptionsIn({ device, precision, threads }: BackendChoice): BackendOptions | undefined {
  const given = Object.entries({ device, precision, threads }).filter(([, value]) => value !== undefined);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

export function quietOption(): Option {
  return new Option("--quiet", "show no progress");
}
