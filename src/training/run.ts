import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../errors.ts";
import { naming, writeFileAtomically } from "../files.ts";
import { encodePng, type Picture } from "../image/index.ts";
import { type OpenCheckpoint, openNewestCheckpoint, removePartialFiles, writeCheckpoint } from "./checkpoint.ts";
import { saveComponent } from "./component.ts";
import { differences, stageEnds, stageOf, type TrainingConfig, totalSteps } from "./config.ts";
import type { TrainingData } from "./data.ts";
import type { Example } from "./dataset.ts";
import { registerGradients } from "./gradients.ts";
import { type LogEntry, type SampleEntry, TrainingLog } from "./log.ts";
import { lossPlot } from "./loss-plot.ts";
import { pictureGrid } from "./picture-grid.ts";
import type { Task } from "./task.ts";
import { Trainer } from "./trainer.ts";

export interface TrainOptions {
  /** Heard after each step: a checkpoint is written, and the training ends with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Told of each step that is done. */
  onStep?: ((entry: LogEntry, total: number) => void) | undefined;
  /** Told of each look at samples that gives figures. */
  onSamples?: ((entry: SampleEntry) => void) | undefined;
  /** Told, in a sentence, of what a person wants to know: that a training goes on, that a checkpoint is written. */
  onNote?: ((text: string) => void) | undefined;
}

/**
 * Trains by a configuration, in its output folder, from where an earlier call stopped, of whatever cause. It holds then:
 *
 * - `checkpoint-STEP.safetensors`: everything to go on from, the last two and those of stages' ends;
 * - `log.jsonl`: a line for every step; `loss.png`: its losses; `samples/STEP.png`: pictures;
 * - a folder for each model of the task, its averaged weights in the form of a component of a pipeline.
 *
 * @throws InputError where a file can't be read or written, or the training diverged: the last checkpoint stays;
 * ConfigError where the folder has a checkpoint of another configuration
 */
export async function train(
  config: TrainingConfig,
  task: Task,
  data: TrainingData,
  options: TrainOptions = {},
): Promise<void> {
  await registerGradients();
  await naming(config.output, mkdir(config.output, { recursive: true }));
  const run = await TrainingRun.open(config, task, data, options);
  try {
    await run.toEnd();
  } finally {
    await run.close();
  }
}

class TrainingRun {
  readonly #config: TrainingConfig;
  readonly #task: Task;
  readonly #data: TrainingData;
  readonly #options: TrainOptions;
  readonly #trainer: Trainer;
  readonly #log: TrainingLog;
  /** The step of the newest checkpoint; 0 where there is none. */
  #saved: number;

  private constructor(parts: {
    config: TrainingConfig;
    task: Task;
    data: TrainingData;
    options: TrainOptions;
    trainer: Trainer;
    log: TrainingLog;
  }) {
    this.#config = parts.config;
    this.#task = parts.task;
    this.#data = parts.data;
    this.#options = parts.options;
    this.#trainer = parts.trainer;
    this.#log = parts.log;
    this.#saved = parts.trainer.step;
  }

  static async open(
    config: TrainingConfig,
    task: Task,
    data: TrainingData,
    options: TrainOptions,
  ): Promise<TrainingRun> {
    const { output } = config;
    for (const folder of ["", "samples", ...Object.keys(task.models)]) await removePartialFiles(join(output, folder));
    const trainer = new Trainer(task, data.training, config);
    try {
      const note = options.onNote ?? (() => {});
      const checkpoint = await openNewestCheckpoint(output, note);
      if (checkpoint) await goOn(trainer, checkpoint, { config, examples: data.training.length, note });
      const log = await TrainingLog.open(join(output, "log.jsonl"), trainer.step);
      return new TrainingRun({ config, task, data, options, trainer, log });
    } catch (error) {
      trainer.dispose();
      throw error;
    }
  }

  /** Takes the steps that are left. Whatever ends them before, what is good of them is kept. */
  async toEnd(): Promise<void> {
    const total = totalSteps(this.#config);
    if (this.#trainer.step === total) {
      this.#note(`All ${total} steps were done before.`);
      return this.#saveModels(); // a kill may have come between the last checkpoint and these
    }
    try {
      while (this.#trainer.step < total) await this.#next(total);
    } catch (error) {
      if (this.#trainer.isSound && this.#trainer.step > this.#saved) await this.#save();
      throw error;
    } finally {
      const { step, isSound } = this.#trainer;
      const how = isSound ? ": the same command goes on from there" : "";
      if (step < total && this.#saved > 0) this.#note(`The checkpoint of step ${this.#saved} is kept${how}.`);
    }
  }

  async #next(total: number): Promise<void> {
    const { checkpointEvery, sampleEvery } = this.#config;
    const { signal } = this.#options;
    await this.#step(total);
    const { step } = this.#trainer;
    if (sampleEvery > 0 && (step % sampleEvery === 0 || step === total)) await this.#sample();
    if (step % checkpointEvery === 0 || stageEnds(this.#config).includes(step)) await this.#save();
    if (step < total) signal?.throwIfAborted();
  }

  async #step(total: number): Promise<void> {
    const started = performance.now();
    const { index } = stageOf(this.#config, this.#trainer.step);
    const report = await this.#trainer.take(await this.#trainer.prepare());
    const seconds = Number(((performance.now() - started) / 1000).toFixed(3));
    const entry = { ...report, stage: index + 1, seconds };
    await this.#log.add(entry);
    this.#options.onStep?.(entry, total);
  }

  async #sample(): Promise<void> {
    if (!this.#task.sample) return;
    const { step } = this.#trainer;
    const { signal, onSamples } = this.#options;
    const examples = await this.#kept();
    const { pictures, columns, figures } = await this.#trainer.withAverages(() => this.#task.sample!(examples, signal));
    if (pictures.length > 0) await this.#writeSamples(pictureGrid(pictures, columns));
    if (!figures) return;
    const entry = { step, samples: figures };
    await this.#log.add(entry);
    onSamples?.(entry);
  }

  async #writeSamples(grid: Picture): Promise<void> {
    const folder = join(this.#config.output, "samples");
    await naming(folder, mkdir(folder, { recursive: true }));
    await writeFileAtomically(join(folder, `${String(this.#trainer.step).padStart(8, "0")}.png`), encodePng(grid));
  }

  /** The pictures that are kept from training, in the first size of the stage that was trained last. */
  async #kept(): Promise<Example[]> {
    const [width, height] = stageOf(this.#config, this.#trainer.step - 1).stage.sizes[0]!;
    const { kept } = this.#data;
    const examples: Example[] = [];
    for (let i = 0; i < kept.length; i++) examples.push(await kept.read(i, width, height));
    return examples;
  }

  async #save(): Promise<void> {
    const { step, optimizerStep } = this.#trainer;
    const header = {
      step,
      optimizerStep,
      config: this.#config,
      examples: this.#data.training.length,
      backend: tf.getBackend(),
    };
    await writeCheckpoint(this.#config.output, header, this.#trainer.state());
    this.#saved = step;
    await writeFileAtomically(join(this.#config.output, "loss.png"), encodePng(lossPlot(this.#log.entries)));
    await this.#saveModels();
  }

  async #saveModels(): Promise<void> {
    const { model, output } = this.#config;
    await this.#trainer.withAverages(async () => {
      const changes = await this.#task.finish?.(await this.#kept());
      for (const [name, layer] of Object.entries(this.#task.models)) {
        const from = model[name];
        if (from) await saveComponent(layer, { from, to: join(output, name), changes: changes?.[name] });
      }
    });
  }

  #note(text: string): void {
    this.#options.onNote?.(text);
  }

  async close(): Promise<void> {
    this.#trainer.dispose();
    await this.#log.close();
  }
}

interface GoOn {
  config: TrainingConfig;
  examples: number;
  note: (text: string) => void;
}

async function goOn(trainer: Trainer, checkpoint: OpenCheckpoint, { config, examples, note }: GoOn): Promise<void> {
  try {
    checkFits(checkpoint, config, examples);
    await trainer.restore(checkpoint);
  } finally {
    await checkpoint.close();
  }
  note(`Going on after step ${checkpoint.step} of ${totalSteps(config)}, from ${checkpoint.path}.`);
  if (checkpoint.backend === tf.getBackend()) return;
  note(
    `It was computed on the backend "${checkpoint.backend}" until now: on another, the last digits of losses differ.`,
  );
}

function checkFits(checkpoint: OpenCheckpoint, config: TrainingConfig, examples: number): void {
  const { path, step } = checkpoint;
  const advice = 'Give another "output", or the configuration that it was begun with.';
  const fields = differences(checkpoint.config, config, step);
  if (fields.length > 0) {
    const listed = fields.map((field) => JSON.stringify(field)).join(", ");
    throw new ConfigError(
      `${path} is of a training with another configuration: ${listed} ${fields.length === 1 ? "differs" : "differ"}. ${advice}`,
    );
  }
  if (checkpoint.examples !== examples) {
    throw new ConfigError(
      `${path} is of a training on ${checkpoint.examples} pictures, and the data have ${examples} now. ${advice}`,
    );
  }
  if (step > totalSteps(config)) {
    throw new ConfigError(
      `${path} has ${step} steps, more than the ${totalSteps(config)} of the configuration. ${advice}`,
    );
  }
}
