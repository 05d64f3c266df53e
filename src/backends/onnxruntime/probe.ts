import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { encodeModel, type OnnxNode, type OnnxValue } from "./onnx.ts";
import type { Device } from "./options.ts";

/** Whether a device of the backend "onnxruntime" works on this machine. */
export type DeviceReport =
  | {
      device: Device;
      works: true;
      /** Whether it computes in float16. */
      float16: boolean;
    }
  | { device: Device; works: false; reason: string };

/** What probe-process.js is told: a small model, the same with its arithmetic in float16, both in base64, and what goes in. */
export interface Trial {
  readonly device: Device;
  readonly model: string;
  readonly halfModel: string;
  readonly inputs: Readonly<Record<string, { readonly shape: readonly number[]; readonly values: readonly number[] }>>;
}

type Found = { isRight: boolean; hasHalf: boolean } | { failure: string };

/** Milliseconds after which a driver that does not answer never will. */
const longestWait = 30_000;

/**
 * Tries a device in a process of its own, so that a driver which crashes, hangs or prints harms nobody: whether a product and a
 * convolution come out as they do on the processor. It takes about half a second.
 */
export async function probeDevice(device: Device): Promise<DeviceReport> {
  const { stdout, stderr, ended } = await answerTo(trialOf(device));
  const found = parsed(stdout);
  if (!found) return { device, works: false, reason: reasonOf(device, ended, stderr) };
  if ("failure" in found) return { device, works: false, reason: reasonOf(device, found.failure, stderr) };
  if (found.isRight) return { device, works: true, float16: found.hasHalf };
  return { device, works: false, reason: `The device "${device}" is there, but computes wrongly.` };
}

function trialOf(device: Device): Trial {
  const base64 = (type: "float32" | "float16") => Buffer.from(trialModel(type)).toString("base64");
  const inputs = Object.fromEntries(
    Object.entries(shapes).map(([name, shape], seed) => [name, { shape, values: smallNumbers(shape, seed) }]),
  );
  return { device, model: base64("float32"), halfModel: base64("float16"), inputs };
}

const shapes = { a: [5, 33], b: [33, 7], x: [1, 8, 6, 6], filter: [8, 8, 3, 3] } as const;

/** Small whole numbers, so that every order of addition gives the same sum, in float16 too. */
function smallNumbers(shape: readonly number[], seed: number): number[] {
  const count = shape.reduce((product, length) => product * length, 1);
  return Array.from({ length: count }, (_, i) => ((i * 7 + seed) % 11) - 5);
}

/** a · b and x ∗ filter, in arithmetic of some type between inputs and outputs of float32. */
function trialModel(type: "float32" | "float16"): Uint8Array {
  const operator = (operatorType: string, inputs: string[], output: string, attributes = {}): OnnxNode => ({
    ...{ name: output, type: operatorType, domain: "", inputs, outputs: [output], attributes },
  });
  const value = (name: string, shape: readonly number[]): OnnxValue => ({ name, type: "float32", shape });
  const to = { to: type === "float16" ? 10n : 1n };
  const nodes = [
    ...Object.keys(shapes).map((name) => operator("Cast", [name], `${name}.cast`, to)),
    operator("MatMul", ["a.cast", "b.cast"], "product.cast"),
    operator("Conv", ["x.cast", "filter.cast"], "convolution.cast"),
    ...["product", "convolution"].map((name) => operator("Cast", [`${name}.cast`], name, { to: 1n })),
  ];
  const inputs = Object.entries(shapes).map(([name, shape]) => value(name, shape));
  const outputs = [value("product", [5, 7]), value("convolution", [1, 8, 4, 4])];
  return encodeModel({ nodes, initializers: [], inputs, outputs }, { "": 21 });
}

interface Ended {
  stdout: string;
  stderr: string;
  /** How the process ended. */
  ended: string;
}

function answerTo(trial: Trial): Promise<Ended> {
  return new Promise((resolve) => {
    const program = fileURLToPath(new URL("./probe-process.js", import.meta.url));
    const child = spawn(process.execPath, [program], { timeout: longestWait, killSignal: "SIGKILL" });
    let [stdout, stderr] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr = (stderr + text).slice(-4000);
    });
    child.on("error", ({ message }) => resolve({ stdout, stderr, ended: message }));
    child.on("close", (code, signal) => resolve({ stdout, stderr, ended: howItEnded(code, signal) }));
    child.stdin.on("error", () => {}); // it has ended, which its missing answer tells
    child.stdin.end(JSON.stringify(trial));
  });
}

function howItEnded(code: number | null, signal: string | null): string {
  if (signal === "SIGKILL") return `its driver did not answer within ${longestWait / 1000} seconds`;
  return `its driver ended the process that tried it, ${signal ? `by ${signal}` : `with exit code ${code}`}`;
}

function parsed(text: string): Found | undefined {
  try {
    return JSON.parse(text) as Found;
  } catch {
    return undefined; // it ended before it had said everything
  }
}

/** What is wrong, and what to do. `said` is ONNX Runtime's, or how the process ended; `printed` what drivers wrote. */
function reasonOf(device: Device, said: string, printed: string): string {
  const cause = `The device "${device}" does not work here: ${meaning(said, printed)}`;
  return device === "cpu" ? cause : `${cause} The device "cpu" needs nothing.`;
}

function meaning(said: string, printed: string): string {
  if (/providers_(shared|cuda)|shared library/.test(said + printed)) return missingCuda(printed);
  if (/libvulkan/.test(printed)) {
    return "Vulkan's loader, libvulkan.so.1, is not installed: on Debian the package libvulkan1 has it, beside a GPU's driver.";
  }
  if (/WebGPU adapter/.test(said)) {
    return "there is no GPU whose driver offers Vulkan, Metal or Direct3D 12 to this process (on Linux `vulkaninfo --summary` lists what Vulkan has).";
  }
  return `${said.split("\n")[0]!.slice(0, 500)}.`;
}

function missingCuda(printed: string): string {
  const library = /(lib(?:cu|nv)\w*\.so[.\d]*): cannot open/.exec(printed)?.[1];
  if (library) return `${library} is missing, which belongs to CUDA 12 and cuDNN 9: install these from NVIDIA.`;
  if (process.platform !== "linux" || process.arch !== "x64") {
    return "onnxruntime-node has its libraries for CUDA for Linux x64 only; webgpu uses NVIDIA's GPUs too.";
  }
  return (
    "ONNX Runtime's libraries for CUDA are not installed. `ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node` " +
    "fetches them from nuget.org; they need CUDA 12 and cuDNN 9."
  );
}
