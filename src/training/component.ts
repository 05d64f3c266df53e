import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, InputError } from "../errors.ts";
import { naming, readJsonFile, writeFileAtomically } from "../files.ts";
import type { Layer } from "../layers/index.ts";
import { type Model, modelFrom } from "../models/model-from.ts";
import { loadWeights, openWeights, saveWeights } from "../weights/index.ts";
import { findWeights } from "../weights/open.ts";

/**
 * The model of a folder with a config.json, without weights.
 * @throws InputError where there is no such folder, ConfigError where its model is none of ours
 */
export async function openComponent(folder: string): Promise<Model> {
  const where = join(folder, "config.json");
  const json = await readJsonFile(where);
  const { _class_name, architectures } = (json ?? {}) as { _class_name?: unknown; architectures?: unknown };
  const className = _class_name ?? (Array.isArray(architectures) ? architectures[0] : undefined);
  if (typeof className === "string") return modelFrom(className, json, where);
  throw new ConfigError(`${where} names no class: it has neither "_class_name" nor "architectures".`);
}

/** Whether a folder has weights, as well as a config.json. */
async function hasWeights(folder: string): Promise<boolean> {
  return findWeights(await readdir(folder)) !== undefined;
}

/** Loads the weights of a folder into its model. @throws WeightsError where there are none, or they do not fit */
export async function loadComponent(model: Model, folder: string): Promise<void> {
  const source = await openWeights(folder);
  try {
    await loadWeights(model, source, { streamed: false });
  } finally {
    await source.close();
  }
}

/** Loads the weights of a folder that has some, to go on with them; else has the model begin with others. */
export async function loadOr<M extends Model>(model: M, folder: string, begin: (model: M) => void): Promise<void> {
  if (await hasWeights(folder)) await loadComponent(model, folder);
  else begin(model);
}

/**
 * The model of a folder, of a class that the caller needs.
 * @throws InputError where it is of another
 */
export async function openComponentOf<M extends Model>(
  // biome-ignore lint/suspicious/noExplicitAny: a constructor of any arguments
  kind: new (...inputs: any[]) => M,
  folder: string,
): Promise<M> {
  if (!(await stat(folder).catch(() => undefined))?.isDirectory())
    throw new InputError(`There is no folder ${folder}.`);
  const model = await openComponent(folder);
  if (model instanceof kind) return model;
  throw new InputError(`${folder} holds a ${model.constructor.name}, where a ${kind.name} is needed.`);
}

export interface SaveComponentOptions {
  /** The folder that the model came from. */
  from: string;
  to: string;
  /** Fields of config.json that have changed. */
  changes?: Readonly<Record<string, unknown>> | undefined;
}

/** How pictures are prepared for a model that sees them; transformers keeps it beside the model. */
const processor = "preprocessor_config.json";

/**
 * Writes a model as a component of a pipeline, as diffusers and transformers do: the config.json that it came with, how its
 * pictures are prepared if that was beside it, and the weights. Another training can begin with the folder.
 * @throws InputError where it can't be written
 */
export async function saveComponent(model: Layer, { from, to, changes = {} }: SaveComponentOptions): Promise<void> {
  const config = { ...((await readJsonFile(join(from, "config.json"))) as object), ...changes };
  await naming(to, mkdir(to, { recursive: true }));
  await writeFileAtomically(join(to, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  if ((await readdir(from)).includes(processor)) {
    await writeFileAtomically(join(to, processor), await readFile(join(from, processor)));
  }
  const isDiffusers = "_class_name" in config;
  await saveWeights(model, join(to, `${isDiffusers ? "diffusion_pytorch_model" : "model"}.safetensors`));
}
