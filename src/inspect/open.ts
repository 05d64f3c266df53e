import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { ConfigError, InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { Autoencoder, UNet } from "../models/index.ts";
import { modelFrom } from "../models/model-from.ts";
import { defaultsIn, type FoundModel, modelsIn } from "../pipelines/models-in.ts";
import { openModelFolder } from "../weights/index.ts";
import type { Size } from "./runnable.ts";
import { presets, type System, square, surroundingsIn } from "./systems.ts";

/**
 * The models of a preset, of the folder of a whole system, or of the folder of one model. No weights are read.
 * @throws InputError where it is none of these, ConfigError where a configuration is wrong or not supported
 */
export async function openSystem(source: string): Promise<System> {
  const preset = Object.hasOwn(presets, source) ? presets[source] : undefined;
  if (preset) return preset();
  if (await isFile(join(source, "model_index.json"))) return systemIn(source);
  if (await isFile(join(source, "config.json"))) return modelIn(source);
  throw new InputError(
    `${source} is no preset (${Object.keys(presets).join(", ")}) and no folder with a model_index.json or a config.json.`,
  );
}

async function systemIn(path: string): Promise<System> {
  const folder = await openModelFolder(path);
  for (const { className } of folder.components) folder.require(className); // throws where its folder is missing
  const system = systemOf(path, await modelsIn(folder));
  const { width, height } = await defaultsIn(folder);
  return width && height ? { ...system, size: { width, height } } : system;
}

async function modelIn(path: string): Promise<System> {
  const where = join(path, "config.json");
  const json = await readJsonFile(where);
  const fields = (json ?? {}) as { _class_name?: unknown; architectures?: unknown };
  const className = fields._class_name ?? (Array.isArray(fields.architectures) ? fields.architectures[0] : undefined);
  if (typeof className !== "string") {
    throw new ConfigError(`${where} names no class: it has neither "_class_name" nor "architectures".`);
  }
  const model = modelFrom(className, json, where);
  return systemOf(path, [{ name: basename(resolve(path)), folder: path, model, json }]);
}

function systemOf(name: string, found: readonly FoundModel[]): System {
  const models = Object.fromEntries(found.map((one) => [one.name, one.model]));
  const folders = Object.fromEntries(found.map((one) => [one.name, one.folder]));
  return { name, models, folders, size: sizeOf(found, surroundingsIn({ models }).pixelsPerCell) };
}

/** The size of picture that the UNet was trained at, or the autoencoder where it is alone. */
function sizeOf(found: readonly FoundModel[], pixelsPerCell: number): Size {
  const unet = found.find(({ model }) => model instanceof UNet);
  const cells = (unet?.json as { sample_size?: unknown } | undefined)?.sample_size;
  if (typeof cells === "number") return square(cells * pixelsPerCell);
  const autoencoder = found.map(({ model }) => model).find((model) => model instanceof Autoencoder);
  return square(autoencoder?.config.sampleSize ?? 512);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
