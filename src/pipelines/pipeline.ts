import type { Picture } from "../image/index.ts";
import { pixelsPerCell } from "../models/autoencoder-config.ts";
import type { Seed } from "../random/index.ts";
import { startStep } from "../schedulers/index.ts";
import { type Canvas, prepareCanvases } from "./canvas.ts";
import { decodeLatents, toPicture } from "./decode.ts";
import type { ModelDefaults } from "./defaults.ts";
import { denoise, type GenerationStep } from "./denoise.ts";
import { encodePicture } from "./encode.ts";
import { modelsOf, type PipelineParts } from "./parts.ts";
import { planMemory } from "./plan.ts";
import { type GenerateOptions, type Request, resolveRequest } from "./request.ts";
import { labelsOver, similarityOf } from "./similarity.ts";
import { stack, type TensorData } from "./tensor-data.ts";
import { checkTextOptions, encodeTexts } from "./text.ts";
import { Turns } from "./turns.ts";

/** B pictures and everything that can be told of them. */
export interface GenerationResult {
  images: Picture[];
  /** The seed of each picture. */
  seeds: Seed[];
  /** What was asked for, with the model's defaults filled in. */
  request: Request;
  /** The scheduler's name. */
  scheduler: string;
  /** The line that the model's licence wants with every picture. Undefined where it wants none. */
  credit: string | undefined;
  /** For each picture, the characters that it resembles; null where it was not checked. */
  detectedPublicFictionalCharacters: (string[] | null)[];
  /** For each picture, every character and its probability; null where it was not checked. */
  detectedPublicFictionalCharactersInfo: (Record<string, number> | null)[];
  tensors: GenerationTensors;
  /** What the caller should know, in sentences: a prompt that was cut. */
  warnings: string[];
}

/** The numbers behind the pictures, in PyTorch's layout. B pictures, N tokens. */
export interface GenerationTensors {
  /** As drawn, before any scaling, [B, C, H/f, W/f]. */
  initialLatents: TensorData;
  finalLatents: TensorData;
  /** Of the prompts alone, [B, N, C]. */
  promptEmbeds: TensorData;
  pooledPromptEmbeds: TensorData;
  /** Undefined without guidance. */
  negativePromptEmbeds: TensorData | undefined;
  /** 0…1, before rounding to 8 bits, [B, 3, H, W]. */
  image: TensorData;
}

const turns = new Turns();

/**
 * Text to picture by latent diffusion (Rombach et al. 2022) with classifier-free guidance (Ho & Salimans 2022), as diffusers'
 * StableDiffusionPipeline and StableDiffusionXLPipeline do it: the same prompt, seed and settings give their picture.
 *
 * In a process one call works at a time, whichever pipeline's it is, since tfjs has one active backend; others wait for their
 * turn, in the order in which they began. Each pipeline computes on the backend that it was opened for.
 */
export class Pipeline {
  readonly #parts: PipelineParts;

  constructor(parts: PipelineParts) {
    this.#parts = parts;
  }

  get defaults(): ModelDefaults {
    return this.#parts.defaults;
  }

  /**
   * Makes pictures step by step. The generator's return value is the result; a caller that stops early stops the work. Whoever
   * calls `next` without a loop has to call `return` in the end: the generator keeps its turn, and the next call waits.
   *
   * @throws InputError for options that are wrong, MemoryError before anything is loaded where the work would not fit,
   * WeightsError before anything is loaded where weights do not fit their model, and the signal's reason where it is aborted
   */
  async *generate(options: GenerateOptions): AsyncGenerator<GenerationStep, GenerationResult> {
    const request = this.#resolve(options);
    const endTurn = await turns.take(request.signal);
    try {
      await this.#parts.useBackend();
      return yield* this.#generate(request);
    } finally {
      endTurn();
    }
  }

  /** `generate` for callers that only want the result. */
  async run(options: GenerateOptions): Promise<GenerationResult> {
    const steps = this.generate(options);
    for (;;) {
      const step = await steps.next();
      if (step.done) return step.value;
    }
  }

  /** Frees all weights, after the calls that are under way. The pipeline can be used again, and reads them anew. */
  async dispose(): Promise<void> {
    const endTurn = await turns.take();
    try {
      for (const model of modelsOf(this.#parts)) model.unload();
    } finally {
      endTurn();
    }
  }

  async *#generate(request: Request): AsyncGenerator<GenerationStep, GenerationResult> {
    const { tokenizer, textEncoder, unet, autoencoder, classifier } = this.#parts;
    const use = planMemory(this.#parts, request);
    // A decoder that can't be loaded must not show after an hour of denoising.
    const needed = { ...this.#parts, classifier: request.similarityCheck ? classifier : undefined };
    for (const model of modelsOf(needed)) await model.check();

    await use(textEncoder);
    const { texts, warnings } = await encodeTexts(textsOf(request), tokenizer, textEncoder.model, request);
    if (request.image) await use(autoencoder);
    const posterior = request.image && (await encodePicture(request.image, autoencoder.model, request));
    const canvases = await prepareCanvases(request, texts, this.#parts, posterior);

    await use(unet);
    yield* denoise(canvases, unet.model, request);

    await use(autoencoder);
    const decoded = await decodeLatents(
      canvases.map(({ latents }) => latents),
      autoencoder.model,
      request,
    );
    const images = decoded.map(toPicture);

    let similarities: (Record<string, number> | null)[] = images.map(() => null);
    if (classifier && request.similarityCheck) {
      await use(classifier.model);
      similarities = await similarityOf(images, classifier.model.model, classifier.processor, request);
    }
    return {
      images,
      seeds: [...request.seeds],
      request,
      scheduler: this.#parts.scheduler.name,
      credit: this.defaults.credit,
      detectedPublicFictionalCharacters: similarities.map((of) => of && labelsOver(request.similarityThreshold, of)),
      detectedPublicFictionalCharactersInfo: similarities,
      tensors: { ...tensorsOf(canvases), image: stack(decoded) },
      warnings,
    };
  }

  #resolve(options: GenerateOptions): Request {
    const { textEncoder, unet, autoencoder, scheduler, defaults } = this.#parts;
    const request = resolveRequest(options, {
      defaults,
      cell: pixelsPerCell(autoencoder.model.config),
      latentChannels: unet.model.config.inChannels,
    });
    checkTextOptions(textEncoder.model, request);
    // Refuses numbers of steps, and strengths, here: before anything is loaded.
    scheduler.sampler(request.steps);
    if (request.latents || request.image) startStep(request.steps, request.strength);
    return request;
  }
}

/** Every text that has to be encoded; the empty one stands for a negative prompt that was not given. */
function textsOf({ prompts, negativePrompts = [""] }: Request): string[] {
  return [...prompts, ...negativePrompts];
}

function tensorsOf(canvases: readonly Canvas[]): Omit<GenerationTensors, "image"> {
  const batch = (part: (canvas: Canvas) => TensorData) => stack(canvases.map(part));
  return {
    initialLatents: batch(({ noise }) => noise),
    finalLatents: batch(({ latents }) => latents),
    promptEmbeds: batch(({ positive }) => positive.embeds),
    pooledPromptEmbeds: batch(({ positive }) => positive.pooled),
    negativePromptEmbeds: canvases[0]!.negative && batch(({ negative }) => negative!.embeds),
  };
}
