import { InputError } from "../errors.ts";
import { checkPicture, type Picture } from "../image/index.ts";
import type { TextMask } from "../models/siglip-text.ts";
import type { Seed } from "../random/index.ts";
import { type ModelDefaults, type TextHiddenState, textHiddenStates, textMasks } from "./defaults.ts";
import { type GeneratorName, randomSeed, seedsFrom } from "./noise.ts";
import type { TensorData } from "./tensor-data.ts";

/** What a caller asks for. Whatever is left out is the model's own default. */
export interface GenerateOptions {
  /** Japanese or English, as the model knows. Of a list, every prompt gets its own pictures. */
  prompt: string | readonly string[];
  /** What the pictures should be far from. An empty one is encoded too, which is not the same as none. */
  negativePrompt?: string | readonly string[] | undefined;
  /** Picture i of the batch has seed + i. One is drawn where none is given. */
  seed?: Seed | undefined;
  /** PyTorch's generator whose noise is reproduced. */
  generator?: GeneratorName | undefined;
  steps?: number | undefined;
  /** How much the prompt weighs; 1 and less is without guidance, and takes half the time. */
  guidanceScale?: number | undefined;
  /** 0 is off, 1 the whole of Lin et al.'s rescaling (2023). */
  guidanceRescale?: number | undefined;
  /** Pixels, a multiple of the autoencoder's factor. */
  width?: number | undefined;
  height?: number | undefined;
  /** Pictures for each prompt. */
  numImages?: number | undefined;
  /** Pictures that the UNet sees at a time, 1 where nothing is said: more take more memory, and less time where it is small. */
  batchSize?: number | undefined;
  /** DDIM's η: 0 is deterministic, 1 as noisy as DDPM. */
  eta?: number | undefined;
  textMask?: TextMask | undefined;
  textHiddenState?: TextHiddenState | undefined;
  /** Final latents of an earlier picture to start from, [1 or B, C, H/f, W/f]. They decide the size. */
  latents?: TensorData | undefined;
  /** A picture to start from, instead of latents: the autoencoder takes it in. Refused where its encoder is blank. */
  image?: Picture | undefined;
  /** With `latents` or `image`: the share of the steps that is run, 0…1. */
  strength?: number | undefined;
  /** With `latents` or `image`: [1 or B, 1, H', W'], 1 where the picture is made anew, 0 where it stays. Any size. */
  mask?: TensorData | undefined;
  /** A character whose probability is over this is reported as detected, 0…1. */
  similarityThreshold?: number | undefined;
  /** Whether the pictures are checked for likeness to known characters, where the model has a classifier for it. */
  similarityCheck?: boolean | undefined;
  /** Decode in tiles, as diffusers' `enable_vae_tiling`: less memory, faint differences at their borders. */
  tiledDecode?: boolean | undefined;
  /** Ends the work within a stage, a fraction of a step, with the signal's reason. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: Progress) => void) | undefined;
}

/** How far a call is. */
export interface Progress {
  /** What is being done: "reading unet", "denoising", "decoding", … */
  task: string;
  done: number;
  total: number;
}

/** Options with everything decided, and checked. One entry of `prompts`, `negativePrompts` and `seeds` for each picture. */
export interface Request {
  prompts: readonly string[];
  /** Undefined where none was given. */
  negativePrompts: readonly string[] | undefined;
  seeds: readonly Seed[];
  generator: GeneratorName;
  steps: number;
  guidanceScale: number;
  guidanceRescale: number;
  width: number;
  height: number;
  batchSize: number;
  eta: number;
  textMask: TextMask;
  textHiddenState: TextHiddenState;
  latents: TensorData | undefined;
  image: Picture | undefined;
  strength: number;
  mask: TensorData | undefined;
  similarityThreshold: number;
  similarityCheck: boolean;
  tiledDecode: boolean;
  signal: AbortSignal | undefined;
  onProgress: (progress: Progress) => void;
}

/** What a request must fit. */
export interface RequestLimits {
  defaults: ModelDefaults;
  /** Pixels of one latent cell. */
  cell: number;
  latentChannels: number;
}

/** Far more than any model can draw, and small enough that nothing overflows. */
const maxSide = 16_384;
const maxPictures = 10_000;
const maxPromptLength = 1_000_000;

/** @throws InputError that names the option and what it may be */
export function resolveRequest(options: GenerateOptions, limits: RequestLimits): Request {
  const { defaults, cell } = limits;
  const prompts = texts("prompt", options.prompt);
  if (prompts.length > maxPictures) {
    throw new InputError(`There are ${prompts.length} prompts; one call makes ${maxPictures} pictures at most.`);
  }
  const numImages = whole("numImages", options.numImages ?? 1, 1, Math.floor(maxPictures / prompts.length));
  const count = prompts.length * numImages;
  const ownSize = sizeToStartFrom(options, limits, count);
  return {
    prompts: each(prompts, numImages),
    negativePrompts: negatives(options.negativePrompt, prompts.length, numImages),
    seeds: seedsFrom(options.seed ?? randomSeed(), count),
    generator: oneOf("generator", options.generator ?? "cpu", ["cpu", "cuda"]),
    steps: whole("steps", options.steps ?? defaults.steps, 1, 1000),
    guidanceScale: within("guidanceScale", options.guidanceScale ?? defaults.guidanceScale, -1000, 1000),
    guidanceRescale: within("guidanceRescale", options.guidanceRescale ?? defaults.guidanceRescale, 0, 1),
    width: side("width", options.width ?? ownSize?.width ?? defaults.width, ownSize?.width, cell),
    height: side("height", options.height ?? ownSize?.height ?? defaults.height, ownSize?.height, cell),
    batchSize: Math.min(count, whole("batchSize", options.batchSize ?? 1, 1, maxPictures)),
    eta: within("eta", options.eta ?? 0, 0, 1),
    textMask: oneOf("textMask", options.textMask ?? defaults.textMask, textMasks),
    textHiddenState: oneOf("textHiddenState", options.textHiddenState ?? defaults.textHiddenState, textHiddenStates),
    latents: options.latents,
    image: options.image,
    strength: onlyFromPicture("strength", options, within("strength", options.strength ?? 1, 0, 1)),
    mask: onlyFromPicture("mask", options, options.mask && checkMask(options.mask, count)),
    similarityThreshold: within(
      "similarityThreshold",
      options.similarityThreshold ?? defaults.similarityThreshold,
      0,
      1,
    ),
    similarityCheck: options.similarityCheck ?? true,
    tiledDecode: options.tiledDecode ?? false,
    signal: options.signal,
    onProgress: options.onProgress ?? (() => {}),
  };
}

function texts(name: string, given: string | readonly string[]): readonly string[] {
  const list = typeof given === "string" ? [given] : given;
  if (!Array.isArray(list) || list.length === 0 || !list.every((text) => typeof text === "string")) {
    throw new InputError(`${name} must be a text or a list of at least one text.`);
  }
  const long = list.find((text) => text.length > maxPromptLength);
  if (long) throw new InputError(`${name} has ${long.length} characters; at most ${maxPromptLength} are taken.`);
  return list;
}

function negatives(given: GenerateOptions["negativePrompt"], prompts: number, numImages: number): string[] | undefined {
  if (given === undefined) return undefined;
  const list = texts("negativePrompt", given);
  if (typeof given === "string") return new Array<string>(prompts * numImages).fill(given);
  if (list.length === prompts) return each(list, numImages);
  throw new InputError(`negativePrompt has ${list.length} texts for ${prompts} prompts: give one, or one for each.`);
}

/** [a, b], 2 → [a, a, b, b] */
function each(list: readonly string[], times: number): string[] {
  return list.flatMap((item) => new Array<string>(times).fill(item));
}

function whole(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new InputError(`${name} is ${String(value)}; it must be a whole number from ${least} to ${most}.`);
}

function within(name: string, value: number, least: number, most: number): number {
  if (typeof value === "number" && value >= least && value <= most) return value;
  throw new InputError(`${name} is ${String(value)}; it must be a number from ${least} to ${most}.`);
}

function oneOf<T extends string>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw new InputError(`${name} is ${JSON.stringify(value)}; it must be one of ${allowed.join(", ")}.`);
}

function side(name: string, wanted: number | undefined, own: number | undefined, cell: number): number {
  if (wanted === undefined)
    throw new InputError(`${name} is not given, and this model's folder has no default for it.`);
  const pixels = whole(name, wanted, cell, maxSide);
  if (own !== undefined && pixels !== own) {
    throw new InputError(`${name} is ${pixels}, but the picture to start from has ${own}.`);
  }
  if (pixels % cell === 0) return pixels;
  const below = Math.max(cell, pixels - (pixels % cell));
  throw new InputError(`${name} is ${pixels}; it must be a multiple of ${cell}, such as ${below} or ${below + cell}.`);
}

/** The size of the picture or latents to start from, where there are any. */
function sizeToStartFrom({ latents, image }: GenerateOptions, limits: RequestLimits, count: number) {
  if (latents && image) throw new InputError("Both latents and an image to start from are given: give one of them.");
  if (image && limits.defaults.vaeEncoder === "blank") {
    throw new InputError(
      "This model takes no pictures in: its autoencoder was published with a blank encoder, to prevent misuse. " +
        "Start from the saved latents of a picture that it made.",
    );
  }
  if (image) checkPicture(image);
  return latents ? checkLatents(latents, limits, count) : image;
}

function checkLatents(latents: TensorData, { cell, latentChannels }: RequestLimits, count: number) {
  const [batch, channels, height, width] = latents.shape;
  if (latents.shape.length !== 4 || channels !== latentChannels || (batch !== 1 && batch !== count)) {
    throw new InputError(
      `latents have the shape [${latents.shape}]; for ${count} pictures of this model it must be ` +
        `[${count === 1 ? 1 : `1 or ${count}`}, ${latentChannels}, height / ${cell}, width / ${cell}].`,
    );
  }
  checkLength("latents", latents);
  checkFinite("latents", latents.data);
  return { width: width! * cell, height: height! * cell };
}

function checkMask(mask: TensorData, count: number): TensorData {
  const [batch, channels] = mask.shape;
  if (mask.shape.length !== 4 || channels !== 1 || (batch !== 1 && batch !== count)) {
    throw new InputError(
      `mask has the shape [${mask.shape}]; it must be [${count === 1 ? 1 : `1 or ${count}`}, 1, height, width].`,
    );
  }
  checkLength("mask", mask);
  if (!mask.data.every((value) => value >= 0 && value <= 1)) throw new InputError("mask has values outside of 0…1.");
  return mask;
}

function checkLength(name: string, { shape, data }: TensorData): void {
  const size = shape.reduce((product, length) => product * length, 1);
  if (size > 0 && size === data.length) return;
  throw new InputError(
    `${name} of the shape [${shape}] must hold ${size} numbers, at least 1; ${data.length} are given.`,
  );
}

function checkFinite(name: string, data: Float32Array): void {
  const at = data.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new InputError(`${name} hold ${data[at]} at position ${at}; all numbers must be finite.`);
}

function onlyFromPicture<T>(name: "strength" | "mask", options: GenerateOptions, value: T): T {
  if (options[name] === undefined || options.latents || options.image) return value;
  throw new InputError(`${name} says what is to be kept of an earlier picture: give that picture's latents too.`);
}
