import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import type { Parameter } from "../layers/index.ts";
import { type Named, parameters } from "../layers/tree.ts";
import { AdamW } from "./adam-w.ts";
import { Buckets } from "./buckets.ts";
import type { OpenCheckpoint } from "./checkpoint.ts";
import { clipGradients } from "./clip-gradients.ts";
import { type StageConfig, stageOf, type TrainingConfig } from "./config.ts";
import type { Dataset, Example } from "./dataset.ts";
import { Draws } from "./draws.ts";
import { Ema } from "./ema.ts";
import { learningRateAt } from "./learning-rate.ts";
import type { Task } from "./task.ts";

/** What a step came to. */
export interface StepReport {
  /** How many are done with it. */
  readonly step: number;
  /** The mean of its batches. */
  readonly loss: number;
  /** Of the gradients over all weights, before they were clipped. */
  readonly norm: number;
  readonly learningRate: number;
}

/** What a step is computed from: batches of the task, as many as are accumulated. */
export interface PreparedStep {
  readonly stage: StageConfig;
  readonly batches: readonly tf.TensorContainer[];
  readonly learningRate: number;
}

/**
 * The weights of a task on their way: how many steps are done, the optimizer's and the average's state. Every random number of
 * a step follows from the seed and the step's number.
 */
export class Trainer {
  readonly #task: Task;
  readonly #dataset: Dataset;
  readonly #config: TrainingConfig;
  readonly #ema: Ema | undefined;
  #optimizer: AdamW;
  #trained: readonly Named<Parameter>[];
  #buckets: { stage: number; buckets: Buckets } | undefined;
  #step = 0;
  #isSound = true;

  /** Takes no ownership of the task's weights, which must be loaded, or of the data. */
  constructor(task: Task, dataset: Dataset, config: TrainingConfig) {
    this.#task = task;
    this.#dataset = dataset;
    this.#config = config;
    if (config.ema) this.#ema = new Ema(everTrained(task, config), config.ema);
    [this.#trained, this.#optimizer] = this.#begin(config.stages[0]!);
  }

  /** How many steps are done. */
  get step(): number {
    return this.#step;
  }

  /** Whether the weights are those of a step that is done, as they are but where one failed. */
  get isSound(): boolean {
    return this.#isSound;
  }

  /** Steps of the optimizer since it began. */
  get optimizerStep(): number {
    return this.#optimizer.steps;
  }

  /**
   * Everything random of the next step, and what is read for it. Nothing is changed yet.
   * @throws InputError where an example can't be read or used
   */
  async prepare(): Promise<PreparedStep> {
    const place = stageOf(this.#config, this.#step);
    const { stage, before } = place;
    const draws = new Draws(this.#config.seed, this.#step);
    const batches: tf.TensorContainer[] = [];
    try {
      for (const examples of await this.#examples(place)) {
        batches.push(await this.#task.prepare(examples, draws, stage.options));
      }
    } catch (error) {
      tf.dispose(batches);
      throw error;
    }
    return { stage, batches, learningRate: learningRateAt(before, stage) };
  }

  /**
   * Takes the step, and frees what was prepared.
   * @throws InputError where the loss or the gradients are not finite: the weights are lost then
   */
  async take({ stage, batches, learningRate }: PreparedStep): Promise<StepReport> {
    this.#isSound = false;
    this.#changeStage(stage);
    try {
      const figures =
        batches.length === 1
          ? this.#whole(batches[0]!, stage, learningRate)
          : await this.#summed(batches, stage, learningRate);
      await settle([figures, ...this.#changing()]);
      const [loss, norm] = (await figures.data()) as unknown as [number, number];
      figures.dispose();
      this.#step++;
      checkFinite(loss, norm, this.#step);
      this.#isSound = true;
      return { step: this.#step, loss, norm, learningRate };
    } finally {
      tf.dispose(batches as tf.TensorContainer[]);
    }
  }

  /** Forward, backward, clipping, the optimizer and the average as one graph, of which [loss, norm] is read. */
  #whole(batch: tf.TensorContainer, stage: StageConfig, learningRate: number): tf.Tensor1D {
    return tf.tidy(() => {
      const [loss, gradients] = this.#differentiate(batch, stage);
      return this.#apply(loss, gradients, learningRate);
    });
  }

  /** As `#whole`, but the batches come one after another: each is computed, and its memory is free, before the next. */
  async #summed(
    batches: readonly tf.TensorContainer[],
    stage: StageConfig,
    learningRate: number,
  ): Promise<tf.Tensor1D> {
    let sums: tf.Tensor[] = [];
    for (const batch of batches) {
      const before = sums;
      sums = tf.tidy(() => {
        const [loss, gradients] = this.#differentiate(batch, stage);
        return [loss, ...gradients].map((one, i) => (before[i] ? tf.add(before[i], one) : one));
      });
      tf.dispose(before);
      await settle(sums);
    }
    const figures = tf.tidy(() => {
      const [loss, ...gradients] = sums.map((sum) => tf.div(sum, batches.length));
      return this.#apply(loss as tf.Scalar, gradients, learningRate);
    });
    tf.dispose(sums);
    return figures;
  }

  #differentiate(batch: tf.TensorContainer, { options }: StageConfig): [loss: tf.Scalar, gradients: tf.Tensor[]] {
    const variables = this.#trained.map(([, parameter]) => parameter.value as tf.Variable);
    const { value, grads } = tf.variableGrads(() => this.#task.loss(batch, options), variables);
    // A weight that a loss has no use for, as a last layer whose output is not asked for, has no gradient.
    return [value, variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable))];
  }

  #apply(loss: tf.Scalar, gradients: readonly tf.Tensor[], learningRate: number): tf.Tensor1D {
    const clipped = clipGradients(gradients, this.#config.clipNorm);
    this.#optimizer.step(clipped.gradients, learningRate);
    this.#ema?.update();
    return tf.stack([loss, clipped.norm]) as tf.Tensor1D;
  }

  /** What a step leaves changed. */
  #changing(): tf.Tensor[] {
    const averages = this.#ema?.state() ?? [];
    const weights = this.#trained.map(([, parameter]) => parameter.value);
    return [...weights, ...[...this.#optimizer.state(), ...averages].map(([, tensor]) => tensor)];
  }

  /** A stage that trains other weights has another optimizer; else what it knows of the gradients stays good. */
  #changeStage(stage: StageConfig): void {
    const trained = this.#task.trained(stage.options);
    if (String(trained.map(([name]) => name)) === String(this.#trained.map(([name]) => name))) return;
    this.#optimizer.dispose();
    [this.#trained, this.#optimizer] = this.#begin(stage);
  }

  #begin(stage: StageConfig): [trained: readonly Named<Parameter>[], optimizer: AdamW] {
    const { weightDecay, betas } = this.#config;
    const trained = this.#task.trained(stage.options);
    return [trained, new AdamW(trained, { weightDecay, beta1: betas[0], beta2: betas[1] })];
  }

  /** Does something while the models have the averages for weights, where there are averages. */
  async withAverages<Out>(act: () => Promise<Out>): Promise<Out> {
    this.#ema?.swap();
    try {
      return await act();
    } finally {
      this.#ema?.swap();
    }
  }

  /** Everything that a later training must know to go on, by name. The tensors stay the trainer's. */
  state(): Named<tf.Tensor>[] {
    const weights = Object.entries(this.#task.models).flatMap(([name, model]) => [...parameters(model, name)]);
    return [
      ...weights.map(([name, { value }]): Named<tf.Tensor> => [`weights.${name}`, value]),
      ...this.#optimizer.state(),
      ...(this.#ema?.state() ?? []),
    ];
  }

  /** Goes on from a checkpoint. @throws WeightsError where it is of another model */
  async restore(checkpoint: OpenCheckpoint): Promise<void> {
    const { step, optimizerStep } = checkpoint;
    if (step > 0) this.#changeStage(stageOf(this.#config, step - 1).stage);
    const tensors = new Map<string, tf.Tensor>();
    for (const [name, { shape }] of this.state()) tensors.set(name, await checkpoint.read(name, shape));
    const read = (name: string) => tensors.get(name)!;
    for (const [name, model] of Object.entries(this.#task.models)) {
      for (const [path, { value }] of parameters(model, name)) {
        (value as tf.Variable).assign(read(`weights.${path}`));
        read(`weights.${path}`).dispose();
      }
    }
    this.#optimizer.restore(read, optimizerStep);
    this.#ema?.restore(read, step);
    this.#step = step;
  }

  /** Frees the optimizer's and the average's state. The weights stay. */
  dispose(): void {
    this.#optimizer.dispose();
    this.#ema?.dispose();
  }

  /** The examples of a step's batches. */
  async #examples({ index, stage, before }: ReturnType<typeof stageOf>): Promise<Example[][]> {
    const buckets = this.#bucketsOf(index, stage);
    const batches: Example[][] = [];
    for (let i = 0; i < stage.accumulate; i++) {
      const { indices, size } = buckets.batch(before * stage.accumulate + i);
      const examples: Example[] = [];
      for (const picture of indices) examples.push(await this.#dataset.read(picture, ...size));
      batches.push(examples);
    }
    return batches;
  }

  /** Of a stage, which has an order of its own, as it has sizes of its own. */
  #bucketsOf(index: number, { sizes, batch }: StageConfig): Buckets {
    if (this.#buckets?.stage === index) return this.#buckets.buckets;
    const buckets = new Buckets(this.#dataset, { sizes, batch, seed: this.#config.seed + index });
    this.#buckets = { stage: index, buckets };
    return buckets;
  }
}

/** The weights that any stage trains, each once. */
function everTrained(task: Task, { stages }: TrainingConfig): Named<Parameter>[] {
  return [...new Map(stages.flatMap(({ options }) => task.trained(options))).entries()];
}

/** Has a backend that records compute these at once, as one graph. */
async function settle(tensors: readonly tf.Tensor[]): Promise<void> {
  await (tf.backend() as { flush?(tensors: readonly tf.Tensor[]): Promise<void> }).flush?.(tensors);
}

function checkFinite(loss: number, norm: number, step: number): void {
  if (Number.isFinite(loss) && Number.isFinite(norm)) return;
  const what = Number.isFinite(loss) ? `the gradients' norm is ${norm}` : `the loss is ${loss}`;
  throw new InputError(
    `In step ${step} ${what}: the training has diverged. Lower "learningRate", or give it a longer "warmUp"; ` +
      "docs/training.md says how to go on from the last checkpoint with that.",
  );
}
