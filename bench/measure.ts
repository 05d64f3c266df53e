// One measurement on one backend, in a process of its own, so that its peak memory is its own:
//
//   node out/bench/measure.js TASK BACKEND [--whatever-it-takes]
//
// It takes one word a line on standard input (`load`, `run`, `abort`, `end`) and answers each with one JSON object on standard output.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import { type BackendName, onShapes, selfTest, useBackend } from "../src/backends/index.ts";
import { pace, runStages, type Stages, withLentWeights } from "../src/layers/index.ts";
import { tiledDecode } from "../src/models/autoencoder-tiles.ts";
import { Autoencoder, ClipTextModel, SiglipTextModel, UNet } from "../src/models/index.ts";
import { type Model, modelFrom } from "../src/models/model-from.ts";
import { LazyModel, openPipeline, type Pipeline, takeData, toTensor } from "../src/pipelines/index.ts";
import { available, planResidency } from "../src/pipelines/memory.ts";
import { TorchCpuGenerator } from "../src/random/index.ts";
import { loadWeights, openWeights } from "../src/weights/index.ts";
import type { Answer } from "./participant.ts";
import type { Task } from "./tasks.ts";
import { type TrainingInputs, trainingSteps } from "./training.ts";

interface Work {
  /** Of one run, where they can be counted. */
  readonly flops?: number;
  load(): Promise<void>;
  /** Computes once; the result is in JavaScript's memory when it is done, in PyTorch's layout. */
  run(signal?: AbortSignal): Promise<Result>;
}

interface Result {
  readonly data: Float32Array;
  /** Of a picture: from the beginning to the end of each step, in seconds. */
  readonly steps?: readonly number[];
}

type Inputs = Record<string, tf.Tensor>;
type UNetInputs = { latents: tf.Tensor4D; context: tf.Tensor3D; pooled?: tf.Tensor2D };

/** Those of an autoencoder that was trained on 512 × 512 pixels, so that a larger picture has more than one. */
const tiles = { size: 64, overlap: 16 };

/** Minutes that a run may take where the backend was not asked for by name. */
const longest = 2;

function stagesOf(model: Model, { timestep, timeIds, isTiled }: Task, inputs: Inputs): Stages<tf.TensorContainer> {
  if (model instanceof UNet) {
    const { latents, context, pooled } = inputs as UNetInputs;
    const conditions = pooled && { pooled, timeIds: Array.from({ length: latents.shape[0] }, () => timeIds!) };
    return model.stages(latents, timestep!, context, conditions);
  }
  if (model instanceof Autoencoder) {
    const z = inputs.z as tf.Tensor4D;
    return isTiled ? tiledDecode(model, z, tiles) : model.decode(z);
  }
  if (model instanceof SiglipTextModel) return model.stages(inputs.ids as tf.Tensor2D);
  if (model instanceof ClipTextModel) return model.stages(inputs.ids as tf.Tensor2D);
  return model.stages(inputs.pixels as tf.Tensor4D);
}

function resultOf(output: tf.TensorContainer): tf.Tensor {
  return output instanceof tf.Tensor ? output : (output as { lastHiddenState: tf.Tensor }).lastHiddenState;
}

function inputsOf({ shapes = {}, ids }: Task): Inputs {
  const drawn = Object.entries(shapes).map(([name, shape], seed): [string, tf.Tensor] => {
    const data = new TorchCpuGenerator(seed).randn(tf.util.sizeFromShape([...shape]));
    return [name, toTensor({ shape, data })];
  });
  return { ...Object.fromEntries(drawn), ...(ids && { ids: tf.tensor2d([...ids], [1, ids.length], "int32") }) };
}

/** What a forward pass costs, found by running it on shapes. */
function costOf(model: Model, task: Task): { flops: number; working: number } {
  return onShapes(({ tensor, flops, bytes }) =>
    withLentWeights(model, tensor, () => {
      const { live } = bytes();
      const inputs: Inputs = task.ids ? { ids: tensor([1, task.ids.length], "int32") } : {};
      for (const [name, shape] of Object.entries(task.shapes ?? {})) {
        const [b, c, h, w] = shape as [number, number, number, number];
        inputs[name] = tensor(shape.length === 4 ? [b, h, w, c] : shape);
      }
      tf.tidy(() => {
        const paced = pace(stagesOf(model, task, inputs));
        while (!paced.next().done);
      });
      return { flops: flops(), working: bytes().peak - live };
    }),
  );
}

async function modelWork(task: Task, backend: BackendName, { patient }: { patient: boolean }): Promise<Work> {
  const where = join(task.folder, "config.json");
  const model = modelFrom(task.className, JSON.parse(await readFile(where, "utf8")), where);
  const { flops, working } = costOf(model, task);
  const lazy = new LazyModel(`${task.what} (${task.size})`, model, () => openWeights(task.folder));
  const phase = { name: `The ${lazy.name}`, weights: lazy.bytes, streamed: lazy.streamedBytes, working };
  const residency = planResidency([phase], available(0), "try another backend, or a machine with more memory");
  if (!patient) await refuseHours(flops, backend);

  const inputs = inputsOf(task);
  return {
    flops,
    load: () => lazy.load({ streamed: residency === "block by block" }),
    run: async (signal) => {
      const output = await runStages(stagesOf(model, task, inputs), { signal });
      const { data } = await takeData(tf.clone(resultOf(output)));
      tf.dispose(output);
      return { data };
    },
  };
}

/** A step of training; its backward pass takes twice the operations of the forward one. */
async function trainingWork(task: Task, backend: BackendName, { patient }: { patient: boolean }): Promise<Work> {
  const where = join(task.folder, "config.json");
  const model = modelFrom(task.className, JSON.parse(await readFile(where, "utf8")), where) as UNet;
  const flops = 3 * costOf(model, task).flops;
  if (!patient) await refuseHours(flops, backend);
  const inputs = inputsOf(task) as unknown as TrainingInputs;
  let step: () => Promise<Float32Array>;
  return {
    flops,
    load: async () => {
      const source = await openWeights(task.folder);
      await loadWeights(model, source, { streamed: false }).finally(() => source.close());
      step = await trainingSteps(model, inputs, { timestep: task.timestep!, timeIds: task.timeIds! });
    },
    run: async () => ({ data: await step() }),
  };
}

/** @throws Error where computing would take very long */
async function refuseHours(flops: number, backend: BackendName): Promise<void> {
  if (flops < 1e10) return; // which every backend does in moments
  const report = await selfTest(backend);
  if (!report.works) throw new Error(report.reason);
  const minutes = flops / (report.conv2dGflops * 1e9) / 60;
  if (minutes < longest) return;
  throw new Error(
    `${Math.round(flops / 1e9)} GFLOP would take about ${Math.round(minutes)} minutes at the ` +
      `${report.conv2dGflops.toPrecision(2)} GFLOP/s of its self-test; --backend ${backend} waits for it.`,
  );
}

/** A pipeline reads weights when it needs them, so the first run has that too. */
async function pictureWork({ folder, request }: Task): Promise<Work> {
  let pipeline: Pipeline;
  return {
    load: async () => {
      pipeline = await openPipeline(folder);
    },
    run: async (signal) => {
      const ends: number[] = [];
      const began = performance.now();
      for (const steps = pipeline.generate({ ...request!, signal }); ; ends.push(secondsSince(began))) {
        const step = await steps.next();
        if (step.done) return { data: step.value.tensors.image.data, steps: ends };
      }
    },
  };
}

/** What it costs to record, compile, find and read a graph that has next to nothing to compute. */
function smallWork(): Work {
  const x = tf.tensor1d([1, 2, 3]);
  return {
    load: async () => {},
    run: async () => {
      let y: tf.Tensor = tf.clone(x);
      for (let graph = 0; graph < 100; graph++) {
        const next = tf.tidy(() => tf.mul(tf.tanh(tf.add(y, 1)), x));
        await next.data();
        y.dispose();
        y = next;
      }
      return takeData(y) as Promise<{ data: Float32Array }>;
    },
  };
}

/** From the abort in the middle of a run until it has ended and the backend would begin with something else. */
async function abortSeconds(work: Work, lastRun: number): Promise<number> {
  const abort = new AbortController();
  const running = work.run(abort.signal).then(
    () => Promise.reject(new Error("The run ended before it was aborted.")),
    (reason: Error) => (abort.signal.aborted ? undefined : Promise.reject(reason)),
  );
  let began = 0;
  setTimeout(
    () => {
      began = performance.now();
      abort.abort();
    },
    (lastRun / 2) * 1000,
  );
  await running;
  const next = tf.zeros([1]);
  await tf.tidy(() => tf.add(next, 1)).data();
  return secondsSince(began);
}

function secondsSince(began: number): number {
  return (performance.now() - began) / 1000;
}

function answer(fields: Answer): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

async function workOf(task: Task, backend: BackendName, { patient }: { patient: boolean }): Promise<Work> {
  if (task.what === "small") return smallWork();
  if (task.what === "picture") return pictureWork(task);
  if (task.what === "train") return trainingWork(task, backend, { patient });
  return modelWork(task, backend, { patient });
}

async function main(): Promise<void> {
  const [text, backend, patience] = process.argv.slice(2) as [string, BackendName, string?];
  const version = await useBackend(backend);
  const task = JSON.parse(text) as (Task & { output: string }) | null;
  if (!task) return answer({ version }); // only asked whether it is there
  const work = await workOf(task, backend, { patient: patience !== undefined });
  answer({ version, flops: work.flops });

  let lastRun = 0;
  for await (const word of createInterface({ input: process.stdin })) {
    const began = performance.now();
    if (word === "end") break;
    if (word === "abort") {
      answer({ seconds: await abortSeconds(work, lastRun) });
      continue;
    }
    if (word === "load") await work.load();
    const result = word === "run" ? await work.run() : undefined;
    const seconds = secondsSince(began);
    answer({ seconds, steps: result?.steps });
    if (result && lastRun === 0) await writeFile(task.output, result.data);
    if (result) lastRun = seconds;
  }
  answer({ peakBytes: process.resourceUsage().maxRSS * 1024 });
}

await main().catch((error: Error) => answer({ refused: error.message }));
process.exit(); // a backend may have threads that would keep it alive
