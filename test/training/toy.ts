import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import * as z from "zod";
import { Layer, Linear, parameters } from "../../src/layers/index.ts";
import { type TrainingConfig, trainingConfigFrom } from "../../src/training/config.ts";
import type { Dataset } from "../../src/training/dataset.ts";
import type { Draws } from "../../src/training/draws.ts";
import { initialize } from "../../src/training/initialize.ts";
import type { TaskKind } from "../../src/training/kind.ts";
import type { Task } from "../../src/training/task.ts";
import { temporaryFolder } from "../helpers/cli.ts";

/** Two products, [B, 4] → [B, 3]. */
export class Toy extends Layer<[x: tf.Tensor2D], tf.Tensor2D> {
  first = new Linear<tf.Tensor2D>(4, 8);
  second = new Linear<tf.Tensor2D>(8, 3);

  protected override forward(x: tf.Tensor2D): tf.Tensor2D {
    return this.second.apply(tf.tanh(this.first.apply(x)));
  }
}

interface Batch extends Record<string, tf.Tensor> {
  x: tf.Tensor2D;
  y: tf.Tensor2D;
}

type Stage = {
  /** Whether only the last product is trained. */
  last: boolean;
  /** Losses are multiplied by it. */
  scale: number;
};

/** Learns the cosines of three of four random numbers, so that nothing but the draws and the order of examples matters. */
export class ToyTask implements Task<Batch, Stage> {
  readonly models = { toy: new Toy() };

  constructor(seed = 1) {
    initialize(this.models.toy, seed);
  }

  trained({ last }: Stage) {
    return last ? [...parameters(this.models.toy.second, "toy.second")] : [...parameters(this.models.toy, "toy")];
  }

  async prepare(examples: readonly { picture: { data: Uint8Array } }[], draws: Draws): Promise<Batch> {
    const numbers = draws.normal(4 * examples.length);
    const x = tf.tensor2d(
      numbers.map((value, i) => value + examples[Math.floor(i / 4)]!.picture.data[0]! / 255),
      [examples.length, 4],
    );
    return { x, y: tf.tidy(() => tf.cos(tf.slice(x, [0, 0], [-1, 3]))) };
  }

  loss({ x, y }: Batch, { scale }: Stage): tf.Scalar {
    return tf.mul(tf.mean<tf.Scalar>(tf.square(tf.sub(this.models.toy.apply(x), y))), scale);
  }

  async sample() {
    const value = (await this.models.toy.first.bias!.value.data())[0]!;
    const pictures = [{ width: 4, height: 4, data: new Uint8Array(48).fill(128 + 100 * value) }];
    return { pictures, figures: { value } };
  }
}

export const toyKind: TaskKind = {
  model: z.object({ toy: z.string() }),
  stage: z.object({ last: z.boolean().default(false), scale: z.number().default(1) }),
  open: async (_, { seed }) => new ToyTask(seed),
};

/** Pictures of one colour each. */
const toyDataset: Dataset = {
  length: 10,
  sizeOf: () => [8, 8],
  read: async (index, width, height) => ({
    picture: { width, height, data: new Uint8Array(width * height * 3).fill(20 * index) },
    captions: [`number ${index}`],
    labels: [],
    original: [8, 8],
    crop: [0, 0],
  }),
};

export const toyData = { training: toyDataset, kept: { ...toyDataset, length: 2 } };

/** Steps with one stage after another of which the second trains other weights, in a folder that is gone after the test. */
export async function toyConfig(changes: object = {}): Promise<TrainingConfig> {
  const folder = await temporaryFolder();
  const model = join(folder, "model");
  await mkdir(model);
  await writeFile(join(model, "config.json"), JSON.stringify({ architectures: ["Toy"] }));
  const stage = { batch: 4, learningRate: 0.01, warmUp: 2, sizes: [[8, 8]] };
  const json = {
    task: "toy",
    model: { toy: model },
    data: { folder },
    output: join(folder, "out"),
    seed: 3,
    stages: [
      { ...stage, steps: 6 },
      { ...stage, steps: 5, last: true, accumulate: 2, end: "cosine" },
    ],
    checkpointEvery: 4,
    sampleEvery: 0,
    ...changes,
  };
  return trainingConfigFrom(json, "toy.json", { toy: toyKind });
}
