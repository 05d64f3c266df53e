import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { WeightsError } from "../errors.ts";
import { reading } from "../files.ts";
import { asWeightsError, openSafetensors } from "./safetensors.ts";
import { openShards } from "./shards.ts";
import { quoted, type WeightSource } from "./source.ts";

/** How diffusers and transformers name a component's weights. */
const baseNames = ["diffusion_pytorch_model", "model"] as const;

/** Whole before sharded, full precision before half. */
const forms = [
  ".safetensors",
  ".safetensors.index.json",
  ".fp16.safetensors",
  ".safetensors.index.fp16.json",
  ".fp16.safetensors.index.json",
];

/** Where a component's weights are, and the name that a single file of them has. */
export interface WeightsFile {
  readonly file: string;
  readonly usualName: string;
}

/** The weights among the files of a component's folder; undefined where there are none in a form that is read. */
export function findWeights(files: readonly string[]): WeightsFile | undefined {
  for (const form of forms) {
    for (const base of baseNames) {
      if (files.includes(base + form)) return { file: base + form, usualName: `${base}.safetensors` };
    }
  }
  return undefined;
}

/** Whether a file's name says that it holds weights, in whatever form. */
export function isWeightsName(file: string): boolean {
  const isIndex = /\.(safetensors|bin)\.index(\.\w+)?\.json$/.test(file);
  return isIndex || /\.(safetensors|bin|ckpt|pt|pth|pkl|h5|msgpack|onnx|onnx_data|gguf)$/.test(file);
}

/**
 * Opens a component's weights: its folder (`model.safetensors` or `diffusion_pytorch_model.safetensors`, whole, sharded
 * or `.fp16`), a safetensors file, or the index of a sharded one.
 *
 * @throws WeightsError where there are none, or they cannot be read. It lists what is there.
 */
export async function openWeights(path: string): Promise<WeightSource> {
  const found = await asWeightsError(reading(path, stat(path)));
  if (!found.isDirectory()) return openFile(path);
  const files = await asWeightsError(reading(path, readdir(path)));
  const weights = findWeights(files);
  if (weights) return openFile(join(path, weights.file));
  throw new WeightsError(`${path} has no weights that can be read: ${whatIsThere(files)}`);
}

function openFile(path: string): Promise<WeightSource> {
  if (isPickle(path)) throw new WeightsError(`${path} ${aboutPickles}`);
  return path.endsWith(".json") ? openShards(path) : openSafetensors(path);
}

function isPickle(file: string): boolean {
  return /\.(bin|ckpt|pt|pth|pkl)$/.test(file);
}

const aboutPickles =
  "is a PyTorch pickle, which is not read yet. In Python, load the model and save it with " +
  "`save_pretrained(folder, safe_serialization=True)`.";

/** For a folder without weights: the sentence that says what it has instead. */
export function whatIsThere(files: readonly string[]): string {
  const pickle = files.find(isPickle);
  if (pickle) return `${quoted(pickle)} ${aboutPickles}`;
  const listed =
    files.slice(0, 20).map(quoted).join(", ") + (files.length > 20 ? `, and ${files.length - 20} more` : "");
  return `neither model.safetensors nor diffusion_pytorch_model.safetensors is there. ${
    files.length > 0 ? `It has ${listed}.` : "It is empty."
  }`;
}
