import { copyFile, mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { modelFrom } from "../src/models/model-from.ts";
import { writeRandomWeights } from "./random-weights.ts";

export const whats = ["unet", "text", "vae", "swin", "picture"] as const;
export type What = (typeof whats)[number];

export const sizes = ["tiny", "sd-1.5", "mitsua-likes"] as const;
export type Size = (typeof sizes)[number];

/** One thing to compute, told alike to ours and to the peer. Shapes are PyTorch's. */
export interface Task {
  readonly what: What;
  readonly size: Size;
  /** Python's class. */
  readonly className: string;
  /** Where its config.json and its weights are. */
  readonly folder: string;
  /** Inputs drawn by `torch.randn`, the first with seed 0, the next with seed 1 and so on. */
  readonly shapes?: Readonly<Record<string, readonly number[]>>;
  /** Inputs that are whole numbers. */
  readonly ids?: readonly number[];
  readonly timestep?: number;
  readonly timeIds?: readonly number[];
  readonly request?: {
    readonly prompt: string;
    readonly negativePrompt: string;
    readonly seed: number;
    readonly steps: number;
    readonly width: number;
    readonly height: number;
  };
}

const tiny = "weights/tiny";
const expected = "test/reference/expected";
const unet = { what: "unet", className: "UNet2DConditionModel", timestep: 500 } as const;
const vae = { what: "vae", className: "AutoencoderKL" } as const;
const swin = { what: "swin", className: "SwinForImageClassification" } as const;

/** As many ids as a text encoder takes: the largest last but for padding, where CLIP looks for the end of the text. */
function ids(tokens: number): number[] {
  return Array.from({ length: tokens }, (_, i) => 2 + ((37 * i) % 200));
}

/** Everything that is measured. Full-size models have the published configurations, in the folder that is given here. */
export const tasks: readonly Task[] = [
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
  },
  {
    ...unet, // a step with guidance, of a picture of 768 × 768
    size: "mitsua-likes",
    folder: `${expected}/unet_structures/mitsua-likes`,
    shapes: { latents: [2, 8, 96, 96], context: [2, 64, 768], pooled: [2, 768] },
    timeIds: [768, 768, 0, 0, 768, 768],
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
  { ...swin, size: "tiny", folder: `${tiny}/character_detector`, shapes: { pixels: [1, 3, 32, 32] } },
  {
    ...swin,
    size: "mitsua-likes",
    folder: `${expected}/swin/structure/swin_base`,
    shapes: { pixels: [1, 3, 224, 224] },
  },
  {
    what: "picture",
    size: "tiny",
    className: "LikesPipeline",
    folder: tiny,
    request: {
      prompt: "滝の中の絵藍ミツア、先生アート",
      negativePrompt: "elan doodle, lowres",
      seed: 42,
      steps: 8,
      width: 128,
      height: 128,
    },
  },
];

/** What is computed, as the report says it. */
export const titles: Readonly<Record<What, string>> = {
  unet: "UNet, one forward",
  text: "text encoder",
  vae: "VAE decode",
  swin: "Swin classifier",
  picture: "whole picture",
};

/** The size of the input, as the report says it. */
export function inputOf({ shapes, ids, request }: Task): string {
  if (request) return `${request.width} × ${request.height}, ${request.steps} steps`;
  if (ids) return `${ids.length} tokens`;
  return Object.values(shapes!)[0]!.join(" × ");
}

/** The task with a folder that has weights: its own, or one under `dest` in which random ones are written. */
export async function withWeights(task: Task, dest: string): Promise<Task> {
  if (task.size === "tiny") return task;
  const folder = join(dest, task.size, task.what);
  const library = task.className === "UNet2DConditionModel" || task.className === "AutoencoderKL";
  const weights = join(folder, library ? "diffusion_pytorch_model.safetensors" : "model.safetensors");
  const config = join(task.folder, "config.json");
  await mkdir(folder, { recursive: true });
  await copyFile(config, join(folder, "config.json"));
  if (!(await isThere(weights))) {
    await writeRandomWeights(modelFrom(task.className, JSON.parse(await readFile(config, "utf8")), config), weights);
  }
  return { ...task, folder };
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
