import { createRequire } from "node:module";
import { Worker } from "node:worker_threads";
import { encodeModel } from "./onnx.ts";

let known: number | undefined;

/**
 * How many channels ONNX Runtime's blocked operators take together on this processor, 16 with AVX-512; 1 where it has none.
 * The answer takes a tenth of a second, once.
 */
export function blockSize(): number {
  known ??= probe();
  return known;
}

/**
 * The operator that arranges channels in blocks is given numbers that count up; where they stop doing so, a block ends.
 * Kernels can't wait for a promise, so another thread runs it, and this one sleeps until it knows.
 */
function probe(): number {
  const channels = 64;
  const ramp = Float32Array.from({ length: 2 * channels }, (_, i) => i); // two cells a channel
  const answer = new Int32Array(new SharedArrayBuffer(4));
  const runtime = createRequire(import.meta.url).resolve("onnxruntime-node");
  const workerData = { model: reorderModel(channels), ramp, answer, runtime };
  new Worker(program, { eval: true, workerData }).unref();
  Atomics.wait(answer, 0, 0, 10_000);
  return answer[0] || 1;
}

function reorderModel(channels: number): Uint8Array {
  const value = (name: string) => ({ name, type: "float32", shape: [1, channels, 1, 2] }) as const;
  const domain = "com.microsoft.nchwc";
  const node = { name: "reorder", type: "ReorderInput", domain, inputs: ["x"], outputs: ["y"], attributes: {} };
  const graph = { nodes: [node], initializers: [], inputs: [value("x")], outputs: [value("y")] };
  return encodeModel(graph, { "": 21, [domain]: 1 });
}

/** As CommonJS, since the loader of modules may need the thread that sleeps; as text, so that no bundler loses it. */
const program = `
const { model, ramp, answer, runtime } = require("node:worker_threads").workerData;

async function firstJump() {
  const { InferenceSession, Tensor } = require(runtime);
  const session = await InferenceSession.create(model, { logSeverityLevel: 4, intraOpNumThreads: 1 });
  const { y } = await session.run({ x: new Tensor("float32", ramp, [1, ramp.length / 2, 1, 2]) });
  await session.release();
  return y.data.findIndex((value, i) => value !== ramp[2 * i]);
}

firstJump()
  .catch(() => 1)
  .then((size) => {
    Atomics.store(answer, 0, Math.max(1, size));
    Atomics.notify(answer, 0);
  });
`;
