import { stat } from "node:fs/promises";
import { join } from "node:path";
import { InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { isModelClass, type Model, modelFrom } from "../models/model-from.ts";
import type { ModelFolder } from "../weights/index.ts";
import { type ModelDefaults, modelDefaults } from "./defaults.ts";

/** A model of a system's folder, without weights. */
export interface FoundModel<M extends Model = Model> {
  /** What the system calls it. */
  readonly name: string;
  readonly folder: string;
  readonly model: M;
  /** Its config.json, for what is no matter of the model's. */
  readonly json: unknown;
}

/**
 * All models of a folder, whatever they are called; tokenizers, schedulers and the like are passed over.
 * @throws ConfigError where a model's configuration is wrong or not supported
 */
export async function modelsIn({ components }: ModelFolder): Promise<FoundModel[]> {
  const found: FoundModel[] = [];
  for (const { name, className, folder } of components) {
    const where = join(folder, "config.json");
    const json = await readJsonIfThere(where);
    if (json === undefined && isModelClass(className, json)) {
      throw new InputError(
        `There is no ${where}, but model_index.json names a model "${name}" (${className}). Get the missing files.`,
      );
    }
    if (isModelClass(className, json)) found.push({ name, folder, json, model: modelFrom(className, json, where) });
  }
  return found;
}

/** What the model decides: `generation_config.json` over what is known of the pipeline's class. */
export async function defaultsIn({ path, className, module = "" }: ModelFolder): Promise<ModelDefaults> {
  const where = join(path, "generation_config.json");
  return modelDefaults([module, className], await readJsonIfThere(where), where);
}

/** @throws InputError where it is there and cannot be read */
export async function readJsonIfThere(path: string): Promise<unknown> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere ? readJsonFile(path) : undefined;
}
