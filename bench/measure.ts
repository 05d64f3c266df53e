// One measurement on one backend, in a process of its own, so that its peak memory is its own:
//
//   node out/bench/measure.js TASK BACKEND [--whatever-it-takes]
//
// It takes one word a line on standard input (`load`, `run`, `end`) and answers each with one JSON object on standard output.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import * as tf from "@tensorflow/tfjs-core";
import { type BackendName, onShapes, selfTest, useBackend } from "../src/backends/index.ts";
import { pace, runStages, type Stages, withLentWeights } from "../src/layers/index.ts";
import { Autoencoder, ClipTextModel, SiglipTextModel, UNet } from "../src/models/index.ts";
import { type Model, modelFrom } from "../src/models/model-from.ts";
import { LazyModel, openPipeline, type Pipeline, takeData, toTensor } from "../src/pipelines/index.ts";
import { available, planResidency } from "../src/pipelines/memory.ts";
import { TorchCpuGenerator } from "../src/random/index.ts";
import { openWeights } from "../src/weights/index.ts";
import type { Answer } from "./participant.ts";
import type { Task } from "./tasks.ts";

interface Work {
  /** Of one run, where they can be counted. */
  readonly flops?: number;
  load(): Promise<void>;
  /** Computes once; the result is in JavaScript's memory when it is done, in PyTorch's layout. */
  run(): Promise<Float32Array>;
}

type Inputs = Record<string, tf.Tensor>;
type UNetInputs = { latents: tf.Tensor4D; context: tf.Tensor3D; pooled?: tf.Tensor2D };

/** Minutes that a run may take where the backend was not asked for by name. */
const longest = 3;

function stagesOf(model: Model, { timestep, timeIds }: Task, inputs: Inputs): Stages<tf.TensorContainer> {
  if (model instanceof UNet) {
    const { latents, context, pooled } = inputs as UNetInputs;
    const conditions = pooled && { pooled, timeIds: Array.from({ length: latents.shape[0] }, () => timeIds!) };
    return model.stages(latents, timestep!, context, conditions);
  }
  if (model instanceof Autoencoder) return model.decode(inputs.z as tf.Tensor4D);
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
    run: async () => {
      const output = await runStages(stagesOf(model, task, inputs));
      const { data } = await takeData(tf.clone(resultOf(output)));
      tf.dispose(output);
      return data;
    },
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
    run: async () => (await pipeline.run(request!)).tensors.image.data,
  };
}

function answer(fields: Answer): void {
  process.stdout.write(`${JSON.stringify(fields)}\n`);
}

async function main(): Promise<void> {
  const [text, backend, patience] = process.argv.slice(2) as [string, BackendName, string?];
  const version = await useBackend(backend);
  const task = JSON.parse(text) as (Task & { output: string }) | null;
  if (!task) return answer({ version }); // only asked whether it is there
  const isPicture = task.what === "picture";
  const work = isPicture
    ? await pictureWork(task)
    : await modelWork(task, backend, { patient: patience !== undefined });
  answer({ version, flops: work.flops });

  let isFirst = true;
  for await (const word of createInterface({ input: process.stdin })) {
    const start = performance.now();
    if (word === "end") break;
    if (word === "load") await work.load();
    const result = word === "run" ? await work.run() : undefined;
    answer({ seconds: (performance.now() - start) / 1000 });
    if (result && isFirst) await writeFile(task.output, result);
    if (result) isFirst = false;
  }
  answer({ peakBytes: process.resourceUsage().maxRSS * 1024 });
}

await main().catch((error: Error) => answer({ refused: error.message }));
process.exit(); // a backend may have threads that would keep it alive
