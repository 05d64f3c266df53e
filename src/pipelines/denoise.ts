import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { runStages } from "../layers/stages.ts";
import type { UNet, UNetConditions } from "../models/unet.ts";
import type { Canvas } from "./canvas.ts";
import { classifierFreeGuidance, rescaleGuidance } from "./guidance.ts";
import { keepUnmasked } from "./inpaint.ts";
import { randn } from "./noise.ts";
import type { Request } from "./request.ts";
import { pick, stack, type TensorData, takeData, toTensor } from "./tensor-data.ts";

/** What a step has come to. */
export interface GenerationStep {
  /** From 1 to `steps`, those that are run. */
  step: number;
  steps: number;
  /** In training steps, 0…999 for most models. */
  timestep: number;
  /** The latents after it, [B, C, H/f, W/f]. */
  latents: TensorData;
}

/**
 * Takes the noise out of every canvas, step by step. The UNet sees `batchSize` pictures at a time, one where nothing is said, so
 * that memory does not grow with their number; each has its own generator and sampler, so their numbers are those of one batch.
 */
export async function* denoise(
  canvases: readonly Canvas[],
  unet: UNet,
  request: Request,
): AsyncGenerator<GenerationStep> {
  const { timesteps } = canvases[0]!;
  const steps = timesteps.length;
  const groups = inGroups(canvases, request.batchSize);
  const tell = (done: number) => request.onProgress({ task: "denoising", done: Math.min(done, steps), total: steps });
  let stagesOfRun = Number.POSITIVE_INFINITY; // of the UNet: known after its first run

  tell(0);
  for (const [index, timestep] of timesteps.entries()) {
    for (const [i, group] of groups.entries()) {
      let stages = 0;
      const onStage = () => tell(index + (i + ++stages / stagesOfRun) / groups.length);
      const latents = await step(group, index, unet, request, onStage);
      stagesOfRun = stages + 1;
      checkFinite(latents, `step ${index + 1}`);
      for (const [j, canvas] of group.entries()) canvas.latents = pick(latents, j);
    }
    tell(index + 1);
    yield { step: index + 1, steps, timestep, latents: stack(canvases.map(({ latents }) => latents)) };
  }
}

function inGroups<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** The latents of some canvases after the step, [B, C, h, w]. */
async function step(
  canvases: readonly Canvas[],
  index: number,
  unet: UNet,
  request: Request,
  onStage: () => void,
): Promise<TensorData> {
  const timestep = canvases[0]!.timesteps[index]!;
  const inputs = tf.tidy(() => inputsOf(canvases, timestep, unet));
  try {
    const { latents, context, pooled } = inputs;
    const conditions: UNetConditions = pooled
      ? { pooled, timeIds: Array.from({ length: latents.shape[0] }, () => timeIds(request)) }
      : {};
    const stages = unet.stages(latents, timestep, context, conditions);
    const prediction = await runStages(stages, { signal: request.signal, onStage });
    try {
      return await takeData(
        tf.tidy(() => {
          const predictions = tf.split<tf.Tensor4D>(prediction, canvases.length);
          return tf.concat(canvases.map((canvas, i) => next(canvas, index, predictions[i]!, request)));
        }),
      );
    } finally {
      prediction.dispose();
    }
  } finally {
    tf.dispose(inputs);
  }
}

/** Of each canvas the latents, once without and once with the prompt where the request is guided, in diffusers' order. */
function inputsOf(canvases: readonly Canvas[], timestep: number, unet: UNet) {
  const texts = canvases.flatMap(({ positive, negative }) => (negative ? [negative, positive] : [positive]));
  const scaled = canvases.flatMap(({ latents, negative, sampler }) => {
    const one = sampler.scaleModelInput(toTensor<tf.Tensor4D>(latents), timestep);
    return negative ? [one, one] : [one];
  });
  return {
    latents: tf.concat(scaled), // [B or 2 B, h, w, C]
    context: tf.concat(texts.map(({ embeds }) => toTensor<tf.Tensor3D>(embeds))), // [B or 2 B, N, C]
    pooled: unet.config.textTime && tf.concat(texts.map(({ pooled }) => toTensor<tf.Tensor2D>(pooled))), // [B or 2 B, P]
  };
}

/** SDXL's micro-conditioning: the picture was this large, was cut at this corner, and shall be this large. */
function timeIds({ width, height }: Request): number[] {
  return [height, width, 0, 0, height, width];
}

/** From the prediction to the latents of the next timestep. */
function next(canvas: Canvas, index: number, prediction: tf.Tensor4D, request: Request): tf.Tensor4D {
  const { sampler, timesteps, generator, original, mask, noise } = canvas;
  const latents = sampler.step<tf.Tensor4D>({
    modelOutput: guide(prediction, request),
    timestep: timesteps[index]!,
    sample: toTensor(canvas.latents),
    eta: request.eta,
    noise: () => toTensor(randn(generator, noise.shape)),
  });
  if (!original || !mask) return latents;
  const kept = {
    mask: toTensor<tf.Tensor4D>(mask),
    original: toTensor<tf.Tensor4D>(original),
    noise: toTensor<tf.Tensor4D>(noise),
  };
  return keepUnmasked(latents, kept, sampler, timesteps[index + 1]);
}

function guide(prediction: tf.Tensor4D, { guidanceScale, guidanceRescale }: Request): tf.Tensor4D {
  if (prediction.shape[0] === 1) return prediction;
  const [unconditional, conditional] = tf.split(prediction, 2) as [tf.Tensor4D, tf.Tensor4D];
  const guided = classifierFreeGuidance(unconditional, conditional, guidanceScale);
  return guidanceRescale > 0 ? rescaleGuidance(guided, conditional, guidanceRescale) : guided;
}

function checkFinite({ data }: TensorData, where: string): void {
  if (data.every(Number.isFinite)) return;
  throw new InputError(
    `The UNet gave numbers that are not finite in ${where}. Its weights may be damaged, or too small a type may have been ` +
      "chosen when they were converted; `compare` finds the first layer that differs from a recording.",
  );
}
