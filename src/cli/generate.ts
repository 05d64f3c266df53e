import { fileURLToPath } from "node:url";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { TextMask } from "../models/siglip-text.ts";
import type { GenerateOptions, GenerationResult, TextHiddenState } from "../pipelines/index.ts";
import type { Seed } from "../random/index.ts";
import { duration } from "./format.ts";
import {
  checkOutputs,
  type Recorded,
  readLatents,
  readMask,
  readPicture,
  readRecord,
  savePictures,
  saveTensors,
} from "./generate-files.ts";
import { collect, decimal, integer } from "./numbers.ts";
import { addBackendOptions, type BackendChoice, backendOptionsIn, quietOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { Progress } from "./progress.ts";
import { version } from "./version.ts";

export interface CommandOptions extends BackendChoice {
  model?: string;
  prompt?: string[];
  negativePrompt?: string;
  from?: string;
  seed?: Seed;
  steps?: number;
  guidanceScale?: number;
  guidanceRescale?: number;
  width?: number;
  height?: number;
  numImages?: number;
  batchSize?: number;
  scheduler?: string;
  eta?: number;
  generator?: "cpu" | "cuda";
  textMask?: TextMask;
  textHiddenState?: TextHiddenState;
  latents?: string;
  image?: string;
  strength?: number;
  mask?: string;
  similarityThreshold?: number;
  similarityCheck: boolean;
  tiledDecode?: boolean;
  output?: string;
  saveLatents?: string;
  saveLatentInPng?: boolean;
  quiet?: boolean;
  json?: boolean;
}

export function addGenerate(program: Command, signal: AbortSignal): void {
  addBackendOptions(
    program
      .command("generate")
      .description("Makes pictures from text.")
      .option(
        "--model <folder>",
        "the model's folder, as diffusers saves it or convert writes it (default: the small model that comes along)",
      )
      .option("--prompt <text>", "what to draw; given several times, each gets its pictures", collect)
      .option("--negative-prompt <text>", "what to stay away from")
      .option("--seed <n>", "picture i has seed n + i (default: a random one, which is told)", seed)
      .option("--steps <n>", "how many steps of denoising (default: the model's)", integer({ min: 1, max: 1000 }))
      .option(
        "--guidance-scale <x>",
        "how much the prompt weighs (default: the model's)",
        decimal({ min: -1000, max: 1000 }),
      )
      .option(
        "--guidance-rescale <x>",
        "against glaring colours, 0 is off (default: the model's)",
        decimal({ min: 0, max: 1 }),
      )
      .option(
        "--width <pixels>",
        "a multiple of the model's cell, mostly 8 (default: the model's)",
        integer({ min: 1, max: 16384 }),
      )
      .option("--height <pixels>", "likewise", integer({ min: 1, max: 16384 }))
      .option("--num-images <n>", "pictures for each prompt (default: 1)", integer({ min: 1, max: 10000 }))
      .option(
        "--batch-size <n>",
        "pictures that are denoised together: faster with small models, more memory (default: 1)",
        integer({ min: 1, max: 10000 }),
      )
      .option("--scheduler <name>", "ddim (default: the model's)")
      .option("--eta <x>", "noise that DDIM adds in each step (default: 0)", decimal({ min: 0, max: 1 }))
      .addOption(
        new Option(
          "--generator <name>",
          "whose random numbers the seed gives: PyTorch's on cpu or on cuda (default: cpu)",
        ).choices(["cpu", "cuda"]),
      )
      .addOption(
        new Option(
          "--text-mask <mask>",
          "what the text encoder sees: everything, the prompt alone, or what stands before",
        ).choices(["none", "padding", "causal"]),
      )
      .addOption(
        new Option("--text-hidden-state <state>", "which of the text encoder's states the UNet is given").choices([
          "last",
          "penultimate",
        ]),
      ),
  )
    .option("--from <file>", "make the picture of this PNG file again; other options change what it says")
    .option("--latents <file>", "start from saved latents: a file of --save-latents, or a PNG of --save-latent-in-png")
    .option("--image <file>", "start from a PNG picture, where the model's encoder is not blank")
    .option(
      "--strength <x>",
      "with --latents or --image: how much of it is made anew (default: 1)",
      decimal({ min: 0, max: 1 }),
    )
    .option("--mask <file>", "with --latents or --image: a picture, white where it is made anew, black where it stays")
    .option(
      "--similarity-threshold <x>",
      "probability over which a character counts as detected",
      decimal({ min: 0, max: 1 }),
    )
    .option("--no-similarity-check", "do not check for likeness to known characters")
    .option("--tiled-decode", "decode in tiles: less memory, faint differences at their borders")
    .option("--output <file>", "the PNG file; several get -1, -2, … before .png (default: picture-SEED.png)")
    .option("--save-latents <file>", "write latents, embeddings and pictures as float32 to a safetensors file")
    .option("--save-latent-in-png", "put the final latents into the PNG file")
    .addOption(quietOption())
    .option("--json", "print what was made as one JSON object")
    .addHelpText(
      "after",
      `
The same model, prompt, seed and settings give the same picture, here and in diffusers. The settings are written into
the file: "show" prints them, --from uses them.

Examples:
  tfjs-diffusion generate --prompt "夕方の海に大きな赤い船" --output boat.png
  tfjs-diffusion generate --model models/mitsua-likes --prompt "a cat in a garden" --negative-prompt "elan doodle, lowres" --seed 7 --num-images 4 --output cat.png
  tfjs-diffusion generate --from boat.png --steps 50 --output slower.png
  tfjs-diffusion generate --prompt "夜の海" --latents day.safetensors --strength 0.6 --output night.png`,
    )
    .action(async (options: CommandOptions, command: Command) => {
      if (!options.prompt && options.from === undefined) {
        command.error('error: what is to be drawn? Give --prompt "…", or --from with a picture that says it');
      }
      await generate(options, signal);
    });
}

async function generate(options: CommandOptions, signal: AbortSignal): Promise<void> {
  const { openPipeline } = await import("../pipelines/index.ts");

  const progress = new Progress({ quiet: options.quiet });
  const started = performance.now();
  try {
    const { request, scheduler, notes } = await requestFrom(options);
    for (const note of notes) progress.say(`note: ${note}`);
    await checkOutputs(options, [request.prompt].flat().length * (request.numImages ?? 1));
    const backendOptions = backendOptionsIn(options);
    const pipeline = await openPipeline(options.model ?? smallModel, {
      backend: options.backend,
      backendOptions,
      scheduler,
    });
    const result = await pipeline.run({
      ...request,
      signal,
      onProgress: ({ task, done, total }) => progress.update(task, done, total),
    });
    progress.end();
    for (const warning of result.warnings) progress.warn(warning);
    const paths = await savePictures(result, options, { software: `tfjs-diffusion ${version}`, signal });
    if (options.saveLatents !== undefined) await saveTensors(result, options.saveLatents, signal);
    await pipeline.dispose();
    if (options.json) printJson(report(result, paths, options));
    else print(text(result, paths, performance.now() - started));
    if (options.model === undefined && !options.json && !options.quiet) progress.say(whatNext(result));
  } finally {
    progress.end();
  }
}

/** What the options, and the picture of --from, ask for. */
async function requestFrom(
  options: CommandOptions,
): Promise<{ request: GenerateOptions; scheduler: string | undefined; notes: string[] }> {
  const recorded: Recorded = options.from === undefined ? { record: {}, notes: [] } : await readRecord(options.from);
  const given: { [Name in keyof GenerateOptions]?: GenerateOptions[Name] | undefined } = {
    prompt: options.prompt,
    negativePrompt: options.negativePrompt,
    seed: options.seed,
    generator: options.generator,
    steps: options.steps,
    guidanceScale: options.guidanceScale,
    guidanceRescale: options.guidanceRescale,
    width: options.width,
    height: options.height,
    numImages: options.numImages,
    batchSize: options.batchSize,
    eta: options.eta,
    textMask: options.textMask,
    textHiddenState: options.textHiddenState,
    latents: options.latents === undefined ? undefined : await readLatents(options.latents),
    image: options.image === undefined ? undefined : await readPicture(options.image),
    strength: options.strength,
    mask: options.mask === undefined ? undefined : await readMask(options.mask),
    similarityThreshold: options.similarityThreshold,
    similarityCheck: options.similarityCheck,
    tiledDecode: options.tiledDecode,
  };
  const request = {
    ...recorded.record,
    ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
  };
  const scheduler = options.scheduler ?? recorded.scheduler;
  return { request: request as GenerateOptions, scheduler, notes: recorded.notes };
}

function seed(text: string): Seed {
  if (!/^-?\d+$/.test(text)) throw new InvalidArgumentError("It must be a whole number.");
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : BigInt(text);
}

/** The model that comes with the package: trained on scenes of our own, by src/training. */
const smallModel = fileURLToPath(new URL("../../weights/mini", import.meta.url));

/** For people who try it for the first time. */
function whatNext({ seeds }: GenerationResult): string {
  return `
This was the small model that comes along: simple things, eight colours, a few places (docs/scenes.md lists them). Next:
  ${`--seed ${BigInt(seeds.at(-1)!) + 1n}`.padEnd(20)} the same prompt, another picture
  --prompt "a small yellow star on the left, snow at night"
  ${"--model FOLDER".padEnd(20)} the real model: README, "Weights and terms", says how to get Mitsua Likes`;
}

/** What `--json` prints. */
function report(result: GenerationResult, paths: readonly string[], { saveLatents }: CommandOptions): object {
  const { request, seeds, credit, warnings } = result;
  return {
    images: result.images.map(({ width, height }, i) => ({
      path: paths[i],
      seed: json(seeds[i]!),
      width,
      height,
      prompt: request.prompts[i],
      detectedPublicFictionalCharacters: result.detectedPublicFictionalCharacters[i],
      detectedPublicFictionalCharactersInfo: result.detectedPublicFictionalCharactersInfo[i],
    })),
    credit: credit ?? null,
    steps: request.steps,
    guidanceScale: request.guidanceScale,
    guidanceRescale: request.guidanceRescale,
    ...(saveLatents !== undefined && { latents: saveLatents }),
    warnings,
  };
}

/** JSON's numbers are exact to 2⁵³ only. */
function json(seed: Seed): number | string {
  return typeof seed === "bigint" ? String(seed) : seed;
}

function text(result: GenerationResult, paths: readonly string[], elapsed: number): string {
  const lines = result.images.map(
    ({ width, height }, i) => `${paths[i]}: ${width} × ${height}, seed ${result.seeds[i]}`,
  );
  for (const [i, characters] of result.detectedPublicFictionalCharacters.entries()) {
    if (!characters) continue; // nobody checked
    lines.push(
      `${paths[i]} resembles ${characters.length > 0 ? characters.join(", ") : "no character that the model knows"}.`,
    );
  }
  if (result.credit !== undefined) lines.push(`Credit, where you show it: ${result.credit}`);
  lines.push(`Took ${duration(elapsed)}.`);
  return lines.join("\n");
}
