import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, InputError } from "../errors.ts";
import { reading, readJsonFile } from "../files.ts";
import { isObject, isPlainName } from "./shards.ts";
import { quoted } from "./source.ts";

/** A part of a pipeline: a model, a tokenizer, a scheduler. */
export interface Component {
  /** What the pipeline calls it, and the name of its folder. */
  readonly name: string;
  /** Where Python has the class: `diffusers`, `transformers`, or a module of the model's own. */
  readonly library: string;
  readonly className: string;
  /** The path of its folder. */
  readonly folder: string;
}

/** A folder that holds a whole pipeline, as diffusers saves one. */
export interface ModelFolder {
  readonly path: string;
  /** The pipeline's class. */
  readonly className: string;
  /** The module of the pipeline's class, where it is not one of diffusers' own. */
  readonly module?: string;
  /** All components that are not absent, in the order of `model_index.json`. */
  readonly components: readonly Component[];
  /** Everything in `model_index.json` that is not a component, such as `force_zeros_for_empty_prompt`. Not checked. */
  readonly settings: Readonly<Record<string, unknown>>;
  /**
   * The first component of one of these classes, whatever it is called; undefined where the pipeline has none.
   *
   * @throws InputError where the pipeline has one and its folder is missing.
   */
  find(...classNames: readonly string[]): Component | undefined;
  /** As `find`. @throws InputError where the pipeline has none. */
  require(...classNames: readonly string[]): Component;
  /** A JSON file of a component. What it holds is still to be checked. @throws InputError where it can't be read. */
  readJson(component: Component, file: string): Promise<unknown>;
}

/**
 * Opens a folder that holds a pipeline: reads its `model_index.json`, and no weights.
 *
 * @throws InputError where it is no such folder, ConfigError where `model_index.json` is wrong.
 */
export async function openModelFolder(path: string): Promise<ModelFolder> {
  const indexPath = join(path, "model_index.json");
  const index = await readIndex(path, indexPath);
  const { _class_name, ...fields } = index;
  const components: Component[] = [];
  const settings: [string, unknown][] = [];
  for (const [name, value] of Object.entries(fields)) {
    const component = componentFrom(name, value, path, indexPath);
    if (component === "absent") continue;
    if (component) components.push(component);
    else settings.push([name, value]);
  }
  const missing = new Set<Component>();
  for (const component of components) if (!(await isFolder(component.folder))) missing.add(component);

  const find: ModelFolder["find"] = (...classNames) => {
    const found = components.find(({ className }) => classNames.includes(className));
    if (found && missing.has(found)) throw missingFolder(indexPath, found);
    return found;
  };
  return {
    path,
    ...pipelineClass(_class_name, indexPath),
    components,
    settings: Object.fromEntries(settings),
    find,
    require: (...classNames) => {
      const found = find(...classNames);
      if (found) return found;
      const present = components.map(({ name, className }) => `${name} (${className})`).join(", ") || "none";
      throw new InputError(`${path} has no component of class ${classNames.join(" or ")}. It has ${present}.`);
    },
    readJson: ({ folder }, file) => readJsonFile(join(folder, file)),
  };
}

async function readIndex(path: string, indexPath: string): Promise<Record<string, unknown>> {
  const files = await reading(path, readdir(path));
  if (!files.includes("model_index.json")) {
    const found = files.slice(0, 20).map(quoted).join(", ") || "nothing";
    throw new InputError(
      `${path} is not the folder of a diffusers model: it has no model_index.json. It has ${found}.`,
    );
  }
  const index = await readJsonFile(indexPath);
  if (!isObject(index)) throw new ConfigError(`${indexPath} is not a JSON object.`);
  return index;
}

/** A class of diffusers, or, where a pipeline brings its own code, [module, class]. */
function pipelineClass(value: unknown, indexPath: string): { className: string; module?: string } {
  if (typeof value === "string") return { className: value };
  if (isPair(value) && value[0] !== null && value[1] !== null) return { module: value[0], className: value[1] };
  throw new ConfigError(`${indexPath}: _class_name is neither the name of a class nor [module, class].`);
}

/** A component stands as [library, class], or as [null, null] where the pipeline goes without it. */
function componentFrom(
  name: string,
  value: unknown,
  path: string,
  indexPath: string,
): Component | "absent" | undefined {
  if (!isPair(value)) return undefined;
  const [library, className] = value;
  if (library === null && className === null) return "absent";
  if (library === null || className === null) {
    throw new ConfigError(
      `${indexPath}: component ${quoted(name)} has a library without a class, or a class without one.`,
    );
  }
  if (!isPlainName(name)) {
    throw new ConfigError(`${indexPath}: component ${quoted(name)} can't be the name of a folder inside the model's.`);
  }
  return { name, library, className, folder: join(path, name) };
}

function isPair(value: unknown): value is [string | null, string | null] {
  const isName = (item: unknown) => item === null || typeof item === "string";
  return Array.isArray(value) && value.length === 2 && value.every(isName);
}

export function missingFolder(indexPath: string, { name, className, folder }: Component): InputError {
  return new InputError(
    `${indexPath} names a component ${quoted(name)} (${className}), but there is no folder ${folder}. ` +
      "Get the missing folder.",
  );
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
