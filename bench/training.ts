import * as tf from "@tensorflow/tfjs-core";
import { parameters } from "../src/layers/index.ts";
import type { UNet } from "../src/models/index.ts";
import { type Dataset, registerGradients, type StageConfig, type Task, Trainer } from "../src/training/index.ts";

/** What a step of a UNet's training takes. */
export interface TrainingInputs {
  latents: tf.Tensor4D;
  target: tf.Tensor4D;
  context: tf.Tensor3D;
  pooled: tf.Tensor2D;
}

interface Conditions {
  timestep: number;
  timeIds: readonly number[];
}

const stage = { steps: 1, batch: 1, accumulate: 1, learningRate: 1e-4, warmUp: 0, sizes: [[64, 64]], options: {} };
/** peer.py has the same. */
const config = {
  ...{ task: "unet", model: {}, data: { folder: "" }, output: "", seed: 0, stages: [stage as StageConfig] },
  ...{ weightDecay: 0.01, betas: [0.9, 0.999], clipNorm: 1, ema: { decay: 0.999 } },
  ...{ checkpointEvery: 1, sampleEvery: 1, samples: 0 },
} as unknown as ConstructorParameters<typeof Trainer>[2];

const nothing: Dataset = {
  length: 0,
  sizeOf: () => [0, 0],
  read: () => Promise.reject(new Error("The batch is drawn already.")),
};

/** Steps of the trainer on the same batch: forward, backward, clipping, AdamW and the average. Loss and norm come back. */
export async function trainingSteps(
  unet: UNet,
  { latents, target, context, pooled }: TrainingInputs,
  { timestep, timeIds }: Conditions,
): Promise<() => Promise<Float32Array>> {
  await registerGradients();
  const ofEach = Array.from({ length: latents.shape[0] }, () => timeIds);
  const task: Task<[tf.Tensor4D]> = {
    models: { unet },
    trained: () => [...parameters(unet)],
    prepare: async () => [latents],
    loss: ([x]) => {
      const predicted = unet.apply(x, timestep, context, { pooled, timeIds: ofEach });
      return tf.mean(tf.mean(tf.squaredDifference(predicted, target), [1, 2, 3]));
    },
  };
  const trainer = new Trainer(task as Task, nothing, config);
  return async () => {
    const { learningRate } = stage;
    const { loss, norm } = await trainer.take({
      stage: config.stages[0]!,
      batches: [[tf.clone(latents)]],
      learningRate,
    });
    return Float32Array.of(loss, norm);
  };
}
