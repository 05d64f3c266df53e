import * as tf from "@tensorflow/tfjs-core";
import * as z from "zod";
import { ConfigError } from "../../errors.ts";
import { readJsonFile } from "../../files.ts";
import { type Named, type Parameter, parameters } from "../../layers/index.ts";
import { Autoencoder } from "../../models/autoencoder.ts";
import { SiglipTextModel } from "../../models/siglip-text.ts";
import { UNet } from "../../models/unet.ts";
import { stack, toTensor } from "../../pipelines/tensor-data.ts";
import { type DdimConfig, DdimScheduler, ddimConfigFrom } from "../../schedulers/index.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";
import { loadComponent, loadOr, openComponentOf } from "../component.ts";
import type { Example } from "../dataset.ts";
import type { Draws } from "../draws.ts";
import { dropCaptions } from "../dropout.ts";
import { assignNoise } from "../immiscible.ts";
import { initialize } from "../initialize.ts";
import type { OpenTaskOptions, TaskKind } from "../kind.ts";
import { minSnrWeights } from "../min-snr.ts";
import { addNoise, targetOf } from "../objective.ts";
import type { Samples, Task } from "../task.ts";
import { Latents } from "./latents.ts";
import { chooseCaptions, openTokenizerFor, type Tokens, tokensOf } from "./texts.ts";
import { drawSamples, type SampleModels } from "./unet-samples.ts";

const folder = z.string().min(1, "it must be the path of a folder");

const modelSchema = z.strictObject({
  unet: folder,
  vae: folder,
  text_encoder: folder,
  tokenizer: folder,
  scheduler: folder,
});

const stageSchema = z.strictObject({
  /**
   * What is trained. Japanese Stable Diffusion (Shing and Sawada 2022) began with a text encoder for a UNet that stayed as it
   * was, and then trained both.
   */
  train: z.enum(["unet", "text", "both"]).default("unet"),
  /**
   * By default the scheduler's `prediction_type`. Its `rescale_betas_zero_snr` is for v: of noise alone, to say what is noise
   * teaches nothing (Lin et al. 2023, section 3.2).
   */
  objective: z.enum(["epsilon", "v_prediction"]).optional(),
  /** γ of Min-SNR; without it every picture's loss counts the same. */
  minSnrGamma: z.number().positive("it must be over 0").optional(),
  /** Whether each picture is given noise of the batch that is near. */
  immiscible: z.boolean().default(false),
  /**
   * The first and the last of the scheduler's steps of noise that are trained, all where nothing is said. What a picture shows,
   * and where, is decided while it is mostly noise, and only there must the text be read (Balaji et al. 2022, section 4): a stage
   * of noisy steps alone learns to.
   */
  timesteps: z
    .tuple([z.int().min(0), z.int().min(0)])
    .refine(([first, last]) => first <= last, "the first must not come after the last")
    .optional(),
  /** The share of captions that are made empty, for guidance. */
  dropCaption: z.number().min(0).max(1).default(0.1),
});

export type UNetStage = z.output<typeof stageSchema>;

/** B pictures, N tokens, C and P channels of a text. */
interface UNetBatch extends tf.TensorContainerObject {
  /** [B, h, w, Z], without noise. */
  latents: tf.Tensor4D;
  noise: tf.Tensor4D;
  times: number[];
  /** SDXL's numbers of each picture. */
  timeIds: number[][];
  /** Token ids and their mask [B, N] of a text encoder that is trained; else what it made of them, [B, N, C] and [B, P]. */
  text: Tokens | { context: tf.Tensor3D; pooled: tf.Tensor2D };
}

export interface UNetTaskParts extends SampleModels {
  readonly scheduler: DdimConfig;
}

/** Latent diffusion (Rombach et al. 2022): a UNet learns to take the noise out of latents, told the time and a text. */
export class UNetTask implements Task<UNetBatch, UNetStage> {
  readonly models: { readonly unet: UNet; readonly text_encoder: SiglipTextModel };
  readonly #parts: UNetTaskParts;
  readonly #latents: Latents;
  /** Of the stage that was last prepared for: samples are drawn as it learns. */
  #scheduler: DdimScheduler;

  /** All models are loaded. The autoencoder stays as it is. */
  constructor(parts: UNetTaskParts) {
    this.models = { unet: parts.unet, text_encoder: parts.textEncoder };
    this.#parts = parts;
    this.#latents = new Latents(parts.autoencoder);
    this.#scheduler = new DdimScheduler(parts.scheduler);
  }

  get tokenizer(): Tokenizer {
    return this.#parts.tokenizer;
  }

  trained({ train }: UNetStage): readonly Named<Parameter>[] {
    const { unet, text_encoder } = this.models;
    return [
      ...(train === "text" ? [] : parameters(unet, "unet")),
      ...(train === "unet" ? [] : parameters(text_encoder, "text_encoder")),
    ];
  }

  async prepare(examples: readonly Example[], draws: Draws, stage: UNetStage): Promise<UNetBatch> {
    const times = this.#times(examples.length, draws, stage);
    const captions = dropCaptions(chooseCaptions(examples, draws), stage.dropCaption, draws);
    const latents = stack(await this.#latents.of(examples));
    const drawn = draws.normal(latents.data.length);
    const noise = stage.immiscible ? assignNoise(latents.data, drawn, examples.length) : drawn;
    return tf.tidy(() => ({
      latents: toTensor<tf.Tensor4D>(latents),
      noise: toTensor<tf.Tensor4D>({ ...latents, data: noise }),
      times,
      timeIds: examples.map(timeIds),
      text: this.#textOf(captions, stage),
    }));
  }

  loss({ latents, noise, times, timeIds, text }: UNetBatch, stage: UNetStage): tf.Scalar {
    const { unet } = this.models;
    const { alphasCumprod, config } = this.#schedulerFor(stage);
    const objective = stage.objective ?? (config.predictionType as "epsilon" | "v_prediction");
    const alphas = times.map((time) => alphasCumprod[time]!);
    const { context, pooled } = "ids" in text ? this.#encode(text) : text;
    const conditions = unet.config.textTime ? { pooled, timeIds } : {};
    const prediction = unet.apply(addNoise(latents, noise, alphas), times, context, conditions);
    const errors = tf.sub(prediction, targetOf(objective, latents, noise, alphas));
    const losses = tf.mean(tf.square(errors), [1, 2, 3]); // [B]
    const { minSnrGamma } = stage;
    return tf.mean(minSnrGamma ? tf.mul(losses, minSnrWeights(objective, alphas, minSnrGamma)) : losses);
  }

  /** What the examples' captions, in one language each, are drawn as; always from the same noise. */
  async sample(examples: readonly Example[], signal?: AbortSignal): Promise<Samples> {
    const [first] = examples;
    if (!first) return { pictures: [] };
    const { width, height } = first.picture;
    const prompt = examples.map(({ captions }, i) => captions[i % captions.length]!);
    const how = { steps: 25, guidanceScale: 5, guidanceRescale: 0.7, textMask: "padding", batchSize: 8 } as const;
    const options = { ...how, prompt, width, height, seed: 0, signal };
    return { pictures: await drawSamples(this.#parts, this.#scheduler, options) };
  }

  #times(count: number, draws: Draws, stage: UNetStage): number[] {
    const all = this.#schedulerFor(stage).alphasCumprod.length;
    const [first, last] = stage.timesteps ?? [0, all - 1];
    if (last >= all) {
      throw new ConfigError(`"timesteps" ends with ${last}, but the scheduler's are from 0 to ${all - 1}.`);
    }
    return draws.below(last - first + 1, count).map((time) => first + time);
  }

  #schedulerFor({ objective }: UNetStage): DdimScheduler {
    const { scheduler } = this.#parts;
    const predictionType = objective ?? scheduler.predictionType;
    if (this.#scheduler.config.predictionType === predictionType) return this.#scheduler;
    const rescaleBetasZeroSnr = scheduler.rescaleBetasZeroSnr && predictionType === "v_prediction";
    this.#scheduler = new DdimScheduler({ ...scheduler, predictionType, rescaleBetasZeroSnr });
    return this.#scheduler;
  }

  #textOf(captions: readonly string[], { train }: UNetStage): UNetBatch["text"] {
    const tokens = tokensOf(captions, this.#parts.tokenizer);
    return train === "unet" ? this.#encode(tokens) : tokens;
  }

  #encode({ ids, attentionMask }: Tokens) {
    const encoding = this.models.text_encoder.apply(ids, { mask: "padding", attentionMask });
    return { context: encoding.lastHiddenState, pooled: encoding.pooled };
  }
}

/** SDXL's micro-conditioning (Podell et al. 2023), in diffusers' order: how large the picture was, where it was cut, its size. */
function timeIds({ picture, original: [width, height], crop: [top, left] }: Example): number[] {
  return [height, width, top, left, picture.height, picture.width];
}

/** How a configuration file says it. */
export const unetTask: TaskKind<typeof modelSchema, typeof stageSchema> = {
  model: modelSchema,
  stage: stageSchema,
  open: async (model, options) => new UNetTask(await openParts(model, options)),
};

async function openParts(model: z.output<typeof modelSchema>, { seed }: OpenTaskOptions): Promise<UNetTaskParts> {
  const unet = await openComponentOf(UNet, model.unet);
  const autoencoder = await openComponentOf(Autoencoder, model.vae);
  const textEncoder = await openComponentOf(SiglipTextModel, model.text_encoder);
  const where = `${model.scheduler}/scheduler_config.json`;
  const scheduler = ddimConfigFrom(await readJsonFile(where), where);
  if (scheduler.predictionType === "sample") {
    throw new ConfigError(`${where}: a UNet can't be trained for the "prediction_type" "sample" yet.`);
  }
  const tokenizer = await openTokenizerFor(textEncoder, { folder: model.tokenizer, beside: model.text_encoder });
  await loadComponent(autoencoder, model.vae);
  await loadOr(unet, model.unet, (one) => initialize(one, seed));
  await loadOr(textEncoder, model.text_encoder, (one) => initialize(one, seed + 1));
  return { unet, autoencoder, textEncoder, tokenizer, scheduler };
}
