import { copyFile, cp, mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { modelFrom } from "../src/models/model-from.ts";
import { type Stored, writeRandomWeights } from "./random-weights.ts";

export const whats = ["small", "unet", "text", "vae", "swin", "picture", "train"] as const;
export type What = (typeof whats)[number];

export const sizes = ["tiny", "mini", "sd-1.5", "mitsua-likes"] as const;
export type Size = (typeof sizes)[number];

/** How PyTorch computes: as its users have it, and what they may try; its bfloat16 is another arithmetic. */
export const peerKinds = ["plain", "channels_last", "compile", "bf16"] as const;
export type PeerKind = (typeof peerKinds)[number];

/** One thing to compute, told alike to ours and to the peer. Shapes are PyTorch's. */
export interface Task {
  readonly what: What;
  readonly size: Size;
  /** Python's class. */
  readonly className: string;
  /** Where its config.json and its weights are. */
  readonly folder: string;
  /** What its weights are in their file; "F32" where nothing is said. */
  readonly stored?: Stored;
  /** Inputs drawn by `torch.randn`, the first with seed 0, the next with seed 1 and so on. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Inputs that are whole numbers. */
  readonly ids?: readonly number[];
  readonly timestep?: number;
  readonly timeIds?: readonly number[];
  /** Whether latents are decoded tile by tile. */
  readonly isTiled?: boolean;
  /** What of PyTorch takes part; "plain" where nothing is said. */
  readonly peers?: readonly PeerKind[];
  readonly request?: {
    readonly prompt: string;
    readonly negativePrompt: string;
    readonly seed: number;
    readonly steps: number;
    /** Steps that the peer makes, where all of them would take too long: the rest of its time is estimated. */
    readonly peerSteps?: number;
    readonly width: number;
    readonly height: number;
  };
}

const tiny = "weights/tiny";
const expected = "test/reference/expected";
const unet = { what: "unet", className: "UNet2DConditionModel", timestep: 500 } as const;
const vae = { what: "vae", className: "AutoencoderKL" } as const;
const swin = { what: "swin", className: "SwinForImageClassification" } as const;
const picture = { what: "picture", className: "LikesPipeline", folder: tiny } as const;
const texts = { prompt: "滝の中の絵藍ミツア、先生アート", negativePrompt: "elan doodle, lowres", seed: 42 } as const;

/** As many ids as a text encoder takes: the largest last but for padding, where CLIP looks for the end of the text. */
function ids(tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => 2 + ((37 * i) % 200));
}

/** Everything that is measured. Full-size models have the published configurations, in the folder that is given here. */
export const tasks: readonly Task[] = [
  { what: "small", size: "tiny", className: "", folder: "" },
  {
    ...unet,
    size: "tiny",
    folder: `${tiny}/unet`,
    shapes: { latents: [1, 8, 16, 16], context: [1, 64, 32], pooled: [1, 32] },
    timeIds: [128, 128, 0, 0, 128, 128],
  },
  {
    ...unet,
    size: "sd-1.5",
    folder: `${expected}/unet_structures/stable-diffusion-1.5`,
    shapes: { latents: [1, 4, 64, 64], context: [1, 77, 768] },
  },
  {
    ...unet,
    size: "mitsua-likes",
    folder: `${expected}/unet_structures/mitsua-likes`,
    shapes: { latents: [1, 8, 64, 64], context: [1, 64, 768], pooled: [1, 768] },
    timeIds: [512, 512, 0, 0, 512, 512],
    peers: peerKinds,
  },
  {
    ...unet, // a step with guidance, of a picture of 768 × 768
    size: "mitsua-likes",
    folder: `${expected}/unet_structures/mitsua-likes`,
    shapes: { latents: [2, 8, 96, 96], context: [2, 64, 768], pooled: [2, 768] },
    timeIds: [768, 768, 0, 0, 768, 768],
    peers: peerKinds,
  },
  {
    ...unet, // a file of half the size: what it takes must not be widened all at once
    size: "mitsua-likes",
    folder: `${expected}/unet_structures/mitsua-likes`,
    stored: "F16",
    shapes: { latents: [1, 8, 64, 64], context: [1, 64, 768], pooled: [1, 768] },
    timeIds: [512, 512, 0, 0, 512, 512],
  },
  { what: "text", size: "tiny", className: "SiglipTextModel", folder: `${tiny}/text_encoder`, ids: ids(64) },
  {
    what: "text",
    size: "sd-1.5",
    className: "CLIPTextModel",
    folder: `${expected}/text/structure/clip_vit_l`,
    ids: ids(77),
  },
  {
    what: "text",
    size: "mitsua-likes",
    className: "SiglipTextModel",
    folder: `${expected}/text/structure/mitsua_japanese_clip`,
    ids: ids(64),
  },
  { ...vae, size: "tiny", folder: `${tiny}/vae`, shapes: { z: [1, 8, 16, 16] } },
  { ...vae, size: "sd-1.5", folder: `${expected}/autoencoder/structure/sd`, shapes: { z: [1, 4, 64, 64] } },
  {
    ...vae,
    size: "mitsua-likes",
    folder: `${expected}/autoencoder/structure/mitsua_likes`,
    shapes: { z: [1, 8, 96, 96] },
    isTiled: true,
  },
  { ...swin, size: "tiny", folder: `${tiny}/character_detector`, shapes: { pixels: [1, 3, 32, 32] } },
  {
    ...swin,
    size: "mitsua-likes",
    folder: `${expected}/swin/structure/swin_base`,
    shapes: { pixels: [1, 3, 224, 224] },
  },
  { ...picture, size: "tiny", request: { ...texts, steps: 8, width: 128, height: 128 } },
  { ...picture, size: "mitsua-likes", request: { ...texts, steps: 4, width: 512, height: 512 } },
  { ...picture, size: "mitsua-likes", request: { ...texts, steps: 40, peerSteps: 3, width: 768, height: 768 } },
  {
    ...unet,
    what: "train",
    size: "mini",
    folder: "weights/mini/unet",
    shapes: { latents: [64, 8, 16, 16], context: [64, 32, 192], pooled: [64, 192], target: [64, 8, 16, 16] },
    timeIds: [64, 64, 0, 0, 64, 64],
    peers: ["plain", "channels_last"],
  },
];

/** What is computed, as the report says it. */
export const titles: Readonly<Record<What, string>> = {
  small: "100 small graphs, each read",
  unet: "UNet, one forward",
  text: "text encoder",
  vae: "VAE decode",
  swin: "Swin classifier",
  picture: "whole picture",
  train: "training step",
};

/** The size of the input, as the report says it. */
export function inputOf({ what, stored, shapes, ids, isTiled, request }: Task): string {
  if (what === "small") return "3 operations";
  if (request) return `${request.width} × ${request.height}, ${request.steps} steps`;
  if (ids) return `${ids.length} tokens`;
  return (
    Object.values(shapes!)[0]!.join(" × ") + (isTiled ? ", in tiles" : "") + (stored ? `, weights in ${stored}` : "")
  );
}

/** The folder of a model in a whole system. */
export const partNames: Readonly<Record<string, string>> = {
  unet: "unet",
  text: "text_encoder",
  vae: "vae",
  swin: "character_detector",
};

/** The task with a folder that has weights: its own, or one under `dest` in which random ones are written. */
export async function withWeights(task: Task, dest: string): Promise<Task> {
  const { what, size, stored } = task;
  if (size === "tiny") return task;
  if (what === "picture") return withSystem(task, dest);
  const folder = join(dest, stored ? `${size}-${stored}` : size, partNames[what] ?? "unet");
  const library = task.className === "UNet2DConditionModel" || task.className === "AutoencoderKL";
  const weights = join(folder, library ? "diffusion_pytorch_model.safetensors" : "model.safetensors");
  const config = join(task.folder, "config.json");
  await mkdir(folder, { recursive: true });
  await copyFile(config, join(folder, "config.json"));
  if (!(await isThere(weights))) {
    const model = modelFrom(task.className, JSON.parse(await readFile(config, "utf8")), config);
    await writeRandomWeights(model, weights, stored);
  }
  return { ...task, folder };
}

/** A whole system: the models of the other tasks of its size, and of the tiny one what has no weights. */
async function withSystem(task: Task, dest: string): Promise<Task> {
  const folder = join(dest, task.size);
  for (const what of Object.keys(partNames)) {
    await withWeights(tasks.find((part) => part.what === what && part.size === task.size)!, dest);
  }
  for (const name of ["model_index.json", "scheduler", "tokenizer", "character_detector_processor"]) {
    await cp(join(task.folder, name), join(folder, name), { recursive: true });
  }
  const [processor, classifier] = [
    join(folder, "character_detector_processor", "preprocessor_config.json"),
    join(folder, partNames.swin!, "config.json"),
  ];
  const { image_size: side } = JSON.parse(await readFile(classifier, "utf8"));
  const settings = JSON.parse(await readFile(processor, "utf8"));
  await writeFile(processor, JSON.stringify({ ...settings, size: { height: side, width: side } }));
  return { ...task, folder };
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
