import { availableParallelism, cpus, freemem, platform, totalmem } from "node:os";
import type { Command } from "commander";
import type { DeviceReport } from "../backends/onnxruntime/probe.ts";
import type { BackendReport } from "../backends/self-test.ts";
import type { TensorflowLibrary } from "../backends/tensorflow-library.ts";
import { bytes, table } from "./format.ts";
import { print, printJson } from "./print.ts";
import { version } from "./version.ts";

interface Report {
  version: string;
  node: string;
  platform: string;
  processor: string;
  cores: number;
  /** In bytes. */
  memory: { total: number; free: number };
  backends: BackendReport[];
  /** What "onnxruntime" can compute on. */
  devices: DeviceReport[];
  /** The library below the backend "tensorflow"; null where that does not work. */
  tensorflow: TensorflowLibrary | null;
  advice: string[];
}

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("Shows what this machine offers: Node, memory, and each backend after a short self-test.")
    .option("--json", "print the report as one JSON object")
    .addHelpText(
      "after",
      `
A backend is what does the computing: "onnxruntime" is the fast one, on all cores; "wasm" works everywhere, on one
core; "tensorflow" is TensorFlow's own library, which tensorflow-link links; "cpu" is plain JavaScript, for checking.
The self-test multiplies and convolves small matrices, compares the results with numbers worked out without a backend,
and measures GFLOP/s: thousand million operations a second.
A device is what "onnxruntime" computes on (--device): the processor, any GPU through WebGPU, or NVIDIA's through CUDA.
Each is tried in a process of its own, which a driver that crashes takes with it.

Examples:
  tfjs-diffusion doctor
  tfjs-diffusion doctor --json`,
    )
    .action(async ({ json }: { json?: boolean }) => {
      const report = await examine();
      if (json) printJson(report);
      else print(text(report));
    });
}

async function examine(): Promise<Report> {
  const { backendNames } = await import("../backends/choose.ts");
  const { selfTest } = await import("../backends/self-test.ts");
  const { devices } = await import("../backends/onnxruntime/options.ts");
  const { probeDevice } = await import("../backends/onnxruntime/probe.ts");
  const { loadedTensorflow } = await import("../backends/tensorflow-library.ts");
  const backends: BackendReport[] = [];
  for (const name of backendNames) backends.push(await selfTest(name));
  const free = process.availableMemory?.() ?? freemem();
  return {
    version,
    node: process.versions.node,
    platform: `${platform()} ${process.arch}`,
    processor: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memory: { total: totalmem(), free },
    backends,
    devices: await Promise.all(devices.map(probeDevice)),
    tensorflow: loadedTensorflow() ?? null,
    advice: advise(backends, free),
  };
}

function advise(backends: readonly BackendReport[], free: number): string[] {
  const advice: string[] = [];
  const works = (name: string): boolean => backends.some((backend) => backend.name === name && backend.works);
  if (!backends.some((backend) => backend.works)) advice.push("No backend works: install the package anew (npm ci).");
  if (works("onnxruntime")) advice.push("onnxruntime is used where --backend is not given. It is the fastest.");
  else if (works("tensorflow")) advice.push("Use --backend tensorflow: it is the fastest here.");
  else if (works("wasm")) advice.push("Use --backend wasm. It computes on one core.");
  const limited = backends.find((backend) => backend.works && backend.memoryLimit !== null);
  if (limited?.works) {
    advice.push(`${limited.name} holds ${bytes(limited.memoryLimit!)} at most: larger models need another backend.`);
  }
  if (free < 4e9) advice.push(`Only ${bytes(free)} of memory are free: full-size models will not fit.`);
  return advice;
}

function text(report: Report): string {
  const facts = [
    ["tfjs-diffusion", report.version],
    ["Node", report.node],
    ["Platform", report.platform],
    ["Processor", `${report.processor}, ${report.cores} cores`],
    ["Memory", `${bytes(report.memory.total)}, ${bytes(report.memory.free)} free`],
  ];
  const works = report.backends.map((backend) =>
    backend.works
      ? [
          `  ${backend.name}`,
          "works",
          backend.version,
          `matrix product ${rate(backend.matMulGflops)}`,
          `convolution ${rate(backend.conv2dGflops)}`,
        ]
      : [`  ${backend.name}`, "does not work"],
  );
  const reasons = [...report.backends, ...report.devices].flatMap((it) =>
    it.works ? [] : [`  ${"device" in it ? it.device : it.name}: ${it.reason}`],
  );
  return [
    ...table(facts, ["left", "left"]),
    "",
    "Backends",
    ...table(works, ["left", "left", "left", "left", "left"]),
    "",
    "Devices of onnxruntime",
    ...table(report.devices.map(described), ["left", "left", "left"]),
    ...(report.tensorflow ? ["", ...library(report.tensorflow)] : []),
    ...(reasons.length > 0 ? ["", "Why not", ...reasons] : []),
    "",
    "What to do",
    ...report.advice.map((line) => `  ${line}`),
  ].join("\n");
}

function described(report: DeviceReport): string[] {
  const name = `  ${report.device}`;
  if (!report.works) return [name, "does not work"];
  if (report.device === "cpu") return [name, "works"];
  return [name, "works", report.float16 ? "computes in float32 and float16" : "computes in float32 alone"];
}

function library({ version, path, seesGpu }: TensorflowLibrary): string[] {
  const sight = seesGpu ? "It sees a GPU." : "It sees no GPU.";
  return ["TensorFlow", `  ${version}${path === null ? "" : `, ${path}`}`, `  ${sight}`];
}

function rate(gflops: number): string {
  return `${gflops.toFixed(gflops < 10 ? 1 : 0)} GFLOP/s`;
}
