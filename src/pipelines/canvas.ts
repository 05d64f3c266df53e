import * as tf from "@tensorflow/tfjs-core";
import type { Autoencoder } from "../models/autoencoder.ts";
import { pixelsPerCell } from "../models/autoencoder-config.ts";
import type { UNet } from "../models/unet.ts";
import type { Generator } from "../random/index.ts";
import { type Sampler, startStep } from "../schedulers/index.ts";
import { drawLatents, type PosteriorData } from "./encode.ts";
import { resizeMask } from "./inpaint.ts";
import { generatorOf, randn } from "./noise.ts";
import type { PipelineParts } from "./parts.ts";
import type { Request } from "./request.ts";
import { pick, type TensorData, takeData, toTensor } from "./tensor-data.ts";
import { type Conditioning, zerosLike } from "./text.ts";

/** One picture on its way. C channels, h w latent cells. */
export interface Canvas {
  readonly generator: Generator;
  readonly sampler: Sampler;
  /** The timesteps that are run: all of the sampler's, fewer when it starts from a picture. */
  readonly timesteps: readonly number[];
  readonly positive: Conditioning;
  /** Undefined without guidance. */
  readonly negative: Conditioning | undefined;
  /** As drawn, [1, C, h, w]. */
  readonly noise: TensorData;
  /** What it starts from, [1, C, h, w]. */
  readonly original: TensorData | undefined;
  /** The part that is made anew, [1, 1, h, w]. */
  readonly mask: TensorData | undefined;
  /** [1, C, h, w] */
  latents: TensorData;
}

/** What a picture takes of a pipeline before it is denoised. */
interface CanvasParts extends Pick<PipelineParts, "scheduler" | "forceZerosForEmptyPrompt"> {
  unet: { readonly model: UNet };
  autoencoder: { readonly model: Autoencoder };
}

/**
 * A canvas for every picture of a request: its texts, its noise, and its own way from noise to picture.
 * @param posterior of the picture to start from
 */
export function prepareCanvases(
  request: Request,
  texts: ReadonlyMap<string, Conditioning>,
  { scheduler, unet, autoencoder, forceZerosForEmptyPrompt }: CanvasParts,
  posterior?: PosteriorData,
): Promise<Canvas[]> {
  const { config } = unet.model;
  const cell = pixelsPerCell(autoencoder.model.config);
  const [height, width] = [request.height / cell, request.width / cell];
  const isGuided = request.guidanceScale > 1;
  const first = request.latents || posterior ? startStep(request.steps, request.strength) : 0;

  const canvases = request.seeds.map(async (seed, i) => {
    const sampler = scheduler.sampler(request.steps);
    const positive = texts.get(request.prompts[i]!)!;
    const negativePrompt = request.negativePrompts?.[i];
    const isZero = negativePrompt === undefined && forceZerosForEmptyPrompt;
    const negative = isZero ? zerosLike(positive) : texts.get(negativePrompt ?? "")!;
    const generator = generatorOf(request.generator, seed);
    const shape = [1, config.inChannels, height, width];
    // Of one generator, what is drawn for the picture to start from comes before the noise, as in diffusers.
    const drawn = posterior && (await drawLatents(posterior, randn(generator, shape), autoencoder.model.config));
    const canvas = {
      generator,
      sampler,
      timesteps: sampler.timesteps.slice(first),
      positive,
      negative: isGuided ? negative : undefined,
      noise: randn(generator, shape),
      original: drawn ?? (request.latents && ofPicture(request.latents, i)),
      mask: request.mask && resizeMask(ofPicture(request.mask, i), height, width),
    };
    return { ...canvas, latents: await firstLatents(canvas, request) };
  });
  return Promise.all(canvases);
}

/** Noise alone; or the picture to start from with as much noise as its first timestep has. */
function firstLatents(
  { noise, original, mask, sampler, timesteps }: Omit<Canvas, "latents">,
  { strength }: Request,
): Promise<TensorData> {
  const isAllNoise = !original || (mask !== undefined && strength === 1);
  const latents = tf.tidy(() =>
    isAllNoise
      ? tf.mul<tf.Tensor4D>(toTensor(noise), sampler.initNoiseSigma)
      : sampler.addNoise<tf.Tensor4D>(toTensor(original), toTensor(noise), timesteps[0]!),
  );
  return takeData(latents);
}

/** Picture i of a batch that has one for each picture, or one for all. */
function ofPicture(batch: TensorData, index: number): TensorData {
  return batch.shape[0] === 1 ? batch : pick(batch, index);
}
