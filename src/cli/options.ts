import { type Command, Option } from "commander";
import type { BackendName, BackendOptions } from "../backends/choose.ts";
import { devices, precisions } from "../backends/onnxruntime/options.ts";
import { integer } from "./numbers.ts";

// The names stand here too, so that --help needs to load no backend; a test keeps them equal.
const backends: readonly BackendName[] = ["onnxruntime", "wasm", "cpu", "tensorflow"];

/** What the options of `addBackendOptions` say. */
export interface BackendChoice extends Pick<BackendOptions, "device" | "precision" | "threads"> {
  backend: BackendName;
}

/** The options of every command that computes: which backend, and how. */
export function addBackendOptions(command: Command): Command {
  const backend = new Option(
    "--backend <name>",
    "what computes: onnxruntime, wasm, cpu, or tensorflow where it is installed",
  );
  const device = new Option(
    "--device <name>",
    "of onnxruntime: cpu, webgpu for any GPU, cuda for NVIDIA's; doctor shows which work (default: cpu)",
  );
  const precision = new Option(
    "--precision <name>",
    "of onnxruntime: float32 is exact, float16 takes half the memory, and webgpu also computes in it (default: float32)",
  );
  const threads = new Option(
    "--threads <n>",
    "of onnxruntime: how many compute; the last digits of results differ by it (default: one for each core)",
  );
  return command
    .addOption(backend.choices(backends).default("onnxruntime"))
    .addOption(device.choices(devices))
    .addOption(precision.choices(precisions))
    .addOption(threads.argParser(integer({ min: 1, max: 1024 })));
}

/** How the backend is to compute, where anything was said of it. */
export function backendOptionsIn({ device, precision, threads }: BackendChoice): BackendOptions | undefined {
  const given = Object.entries({ device, precision, threads }).filter(([, value]) => value !== undefined);
  return given.length > 0 ? Object.fromEntries(given) : undefined;
}

export function quietOption(): Option {
  return new Option("--quiet", "show no progress");
}
