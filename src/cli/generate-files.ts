import { join, parse, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { readFileWithin, writeFileAtomically } from "../files.ts";
import type { Picture } from "../image/index.ts";
import type { GenerateOptions, GenerationResult, TensorData } from "../pipelines/index.ts";
import type { WeightSource } from "../weights/index.ts";
import type { CommandOptions } from "./generate.ts";
import { checkWritable } from "./writable.ts";

/** What a picture's file says of how it was made. */
export interface Recorded {
  record: Partial<GenerateOptions>;
  scheduler?: string | undefined;
  /** What there is to say of it. */
  notes: string[];
}

export async function readRecord(path: string): Promise<Recorded> {
  const { decodePngTexts, generationRecordFrom, maxPngBytes } = await import("../image/index.ts");
  const { schedulerNames } = await import("../schedulers/index.ts");
  const {
    unused,
    model: _,
    scheduler,
    strength,
    ...record
  } = generationRecordFrom(decodePngTexts(await readFileWithin(path, maxPngBytes), path), path);
  const notes: string[] = [];
  if (unused.length > 0) notes.push(`${path} has settings that are not known here: ${unused.join(", ")}.`);
  if (strength !== undefined && strength < 1) {
    notes.push(`${path} was made from another picture's latents: give them with --latents and --strength ${strength}.`);
  }
  if (scheduler === undefined || schedulerNames.includes(scheduler))
    return { record: record as Recorded["record"], scheduler, notes };
  notes.push(
    `${path} was made with the scheduler ${JSON.stringify(scheduler)}, which is not known here: the model's own is used.`,
  );
  return { record: record as Recorded["record"], notes };
}

/** The pixels of a PNG file. */
export async function readPicture(path: string): Promise<Picture> {
  const { decodePng, maxPngBytes } = await import("../image/index.ts");
  return decodePng(await readFileWithin(path, maxPngBytes), path).picture;
}

/** Names under which latents are found, the first that is there. */
const latentNames = ["final_latents", "latents", "latent"];

/** Latents of a safetensors file, or of a PNG file that holds them. */
export async function readLatents(path: string): Promise<TensorData> {
  const { decodePngTexts, latentFrom, maxPngBytes } = await import("../image/index.ts");
  const { decodeSafetensors, openSafetensors, toFloat32 } = await import("../weights/index.ts");
  if (/\.png$/i.test(path)) {
    const bytes = latentFrom(decodePngTexts(await readFileWithin(path, maxPngBytes), path), path);
    if (!bytes) throw new InputError(`${path} holds no latents: it was made without --save-latent-in-png.`);
    const tensors = decodeSafetensors(bytes, `${path}, latent_tensor`);
    const tensor = tensors.get("latent");
    if (!tensor) throw new InputError(`${path}, latent_tensor: there is no tensor "latent".`);
    return { shape: tensor.shape, data: toFloat32(tensor.bytes, tensor.dtype) };
  }
  const source = await openSafetensors(path);
  try {
    return await readTensor(source, latentNames);
  } finally {
    await source.close();
  }
}

/** A mask [1, 1, H, W] of 0…1: a PNG file's brightness, or the tensor "mask" of a safetensors file. */
export async function readMask(path: string): Promise<TensorData> {
  const { openSafetensors } = await import("../weights/index.ts");
  if (/\.safetensors$/i.test(path)) {
    const source = await openSafetensors(path);
    try {
      return await readTensor(source, ["mask"]);
    } finally {
      await source.close();
    }
  }
  const picture = await readPicture(path);
  const data = new Float32Array(picture.width * picture.height);
  for (let i = 0; i < data.length; i++) {
    data[i] = Math.max(picture.data[3 * i]!, picture.data[3 * i + 1]!, picture.data[3 * i + 2]!) / 255;
  }
  return { shape: [1, 1, picture.height, picture.width], data };
}

async function readTensor(source: WeightSource, names: readonly string[]): Promise<TensorData> {
  const { toFloat32 } = await import("../weights/index.ts");
  const name = names.find((candidate) => source.entries.has(candidate));
  if (name === undefined) {
    throw new InputError(`${source.path} has no tensor ${names.map((one) => `"${one}"`).join(" or ")}.`);
  }
  const { shape, dtype } = source.entries.get(name)!;
  return { shape, data: toFloat32(await source.read(name), dtype) };
}

/** @throws InputError where a file that is to be written can't be: said before the work, not after it */
export async function checkOutputs({ output, saveLatents }: CommandOptions, count: number): Promise<void> {
  const pictures =
    output === undefined ? ["picture.png"] : Array.from({ length: count }, (_, i) => numbered(output, i, count));
  for (const path of saveLatents === undefined ? pictures : [...pictures, saveLatents]) {
    if (path === "") throw new InputError("A file's name is empty: give --output and --save-latents a name.");
    await checkWritable(path);
  }
  if (saveLatents !== undefined && pictures.some((path) => resolve(path) === resolve(saveLatents))) {
    throw new InputError(
      `${saveLatents} would be written twice, as the picture and as its latents: give them different names.`,
    );
  }
}

/** Writes a PNG file for each picture. Their paths come back. */
export async function savePictures(
  result: GenerationResult,
  { output, saveLatentInPng }: CommandOptions,
  { software, signal }: { software: string; signal: AbortSignal },
): Promise<string[]> {
  const { encodePng, pictureTexts } = await import("../image/index.ts");
  const { generationRecord } = await import("../pipelines/index.ts");
  const { pick } = await import("../pipelines/tensor-data.ts");
  const { encodeSafetensors, fromFloat32 } = await import("../weights/index.ts");
  const paths: string[] = [];
  for (const [i, picture] of result.images.entries()) {
    const path = output === undefined ? `picture-${result.seeds[i]}.png` : numbered(output, i, result.images.length);
    const { shape, data } = pick(result.tensors.finalLatents, i);
    const latent = saveLatentInPng
      ? encodeSafetensors({ latent: { shape, dtype: "F32", bytes: fromFloat32(data, "F32") } })
      : undefined;
    const texts = pictureTexts({ record: generationRecord(result, i), credit: result.credit, software, latent });
    await writeFileAtomically(path, encodePng(picture, texts), { signal });
    paths.push(path);
  }
  return paths;
}

/** "cat.png" → "cat-1.png", unless it is the only one. */
function numbered(path: string, index: number, count: number): string {
  if (count === 1) return path;
  const { dir, name, ext } = parse(path);
  return join(dir, `${name}-${index + 1}${ext}`);
}

/** Writes the numbers behind the pictures: float32, in PyTorch's layout. */
export async function saveTensors({ tensors }: GenerationResult, path: string, signal: AbortSignal): Promise<void> {
  const { fromFloat32, writeSafetensors } = await import("../weights/index.ts");
  const named: Record<string, TensorData | undefined> = {
    initial_latents: tensors.initialLatents,
    final_latents: tensors.finalLatents,
    prompt_embeds: tensors.promptEmbeds,
    pooled_prompt_embeds: tensors.pooledPromptEmbeds,
    negative_prompt_embeds: tensors.negativePromptEmbeds,
    image: tensors.image,
  };
  const present = Object.entries(named).filter((entry): entry is [string, TensorData] => entry[1] !== undefined);
  const lazy = present.map(([name, { shape, data }]) => ({
    name,
    shape,
    dtype: "F32" as const,
    pieces: () => [fromFloat32(data, "F32")],
  }));
  await writeSafetensors(path, lazy, { signal });
}
