import { stat } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { ConfigError, InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { Autoencoder, UNet } from "../models/index.ts";
import { isModelClass, type Model, modelFrom } from "../models/model-from.ts";
import { modelDefaults } from "../pipelines/defaults.ts";
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
  const models: Record<string, Model> = {};
  const folders: Record<string, string> = {};
  let sampleSize: unknown;
  for (const component of folder.components) {
    folder.require(component.className); // throws where its folder is missing
    const where = join(component.folder, "config.json");
    const isOurs = isModelClass(component.className, undefined);
    if (!isOurs && !(await isFile(where))) continue; // a tokenizer, a scheduler
    const json = await readJsonFile(where);
    if (!isOurs && !isModelClass(component.className, json)) continue;
    const model = modelFrom(component.className, json, where);
    models[component.name] = model;
    folders[component.name] = component.folder;
    if (model instanceof UNet) sampleSize = (json as { sample_size?: unknown }).sample_size;
  }
  const where = join(path, "generation_config.json");
  const json = (await isFile(where)) ? await readJsonFile(where) : undefined;
  const { width, height } = modelDefaults([folder.className, folder.module ?? ""], json, where);
  const system = { name: path, models, folders, size: sizeOf(sampleSize, models) };
  return width && height ? { ...system, size: { width, height } } : system;
}

async function modelIn(path: string): Promise<System> {
  const where = join(path, "config.json");
  const json = await readJsonFile(where);
  const fields = (json ?? {}) as { _class_name?: unknown; architectures?: unknown; sample_size?: unknown };
  const className = fields._class_name ?? (Array.isArray(fields.architectures) ? fields.architectures[0] : undefined);
  if (typeof className !== "string") {
    throw new ConfigError(`${where} names no class: it has neither "_class_name" nor "architectures".`);
  }
  const model = modelFrom(className, json, where);
  const name = basename(resolve(path));
  const models = { [name]: model };
  return { name: path, models, folders: { [name]: path }, size: sizeOf(fields.sample_size, models) };
}

/** The size of picture that a UNet's or an autoencoder's training had. */
function sizeOf(sampleSize: unknown, models: System["models"]): Size {
  const vae = Object.values(models).find((model) => model instanceof Autoencoder);
  if (typeof sampleSize !== "number") return square(vae?.config.sampleSize ?? 512);
  const isAlone = Object.values(models).every((model) => model instanceof Autoencoder);
  const cell = isAlone ? 1 : surroundingsIn({ models }).pixelsPerCell;
  return square(sampleSize * cell);
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
