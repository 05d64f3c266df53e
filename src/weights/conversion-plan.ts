import { readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, sep } from "node:path";
import { InputError, WeightsError } from "../errors.ts";
import { reading } from "../files.ts";
import { reportName, type SourceFile } from "./conversion-report.ts";
import { isFolder, missingFolder, openModelFolder } from "./model-folder.ts";
import { findWeights, isWeightsName, type WeightsFile, whatIsThere } from "./open.ts";
import { readWeightMap } from "./shards.ts";

/** A file that a conversion makes. */
export interface PlannedFile {
  /** Inside the destination, with `/` between names. */
  readonly path: string;
  readonly kind: "weights" | "copy";
  /** The file, or the index of a sharded one, to open. */
  readonly from: string;
  readonly sources: readonly SourceFile[];
}

export interface Plan {
  readonly files: readonly PlannedFile[];
  readonly leftOut: readonly string[];
}

/**
 * What is to be made of the folder of a pipeline: its weights, one file for each component, and its small files.
 *
 * @throws InputError where a component or its weights are missing, or a link leads out of the folder.
 */
export async function planConversion(source: string): Promise<Plan> {
  const { components } = await openModelFolder(source);
  const inside = await insideOf(source);
  const files: PlannedFile[] = [];
  const leftOut: string[] = [];
  const addFolder = async (name: string, known: ReadonlySet<string>) => {
    const folder = await inside(name);
    const { folders, names } = await listing(folder);
    leftOut.push(...folders.filter((child) => !known.has(child)).map((child) => `${posixJoin(name, child)}/`));
    const weights = name === "" ? undefined : findWeights(names);
    if (!weights && name !== "") checkNeedsNoWeights(folder, names);
    if (weights) files.push(await plannedWeights(source, name, weights, inside));
    const parts = new Set(weights ? files.at(-1)!.sources.map(({ path }) => basename(path)) : []);
    for (const file of names.filter((file) => !parts.has(file))) {
      const path = posixJoin(name, file);
      if (isCopied(file)) files.push(await plannedCopy(source, path, inside));
      else leftOut.push(path);
    }
  };
  await addFolder("", new Set(components.map(({ name }) => name)));
  for (const component of components) {
    if (!(await isFolder(component.folder))) throw missingFolder(join(source, "model_index.json"), component);
    await addFolder(component.name, new Set());
  }
  return { files: files.sort((a, b) => Number(a.kind === "weights") - Number(b.kind === "weights")), leftOut };
}

type Inside = (path: string) => Promise<string>;

/**
 * Resolves paths inside a folder. A link that leads out of it is refused: a folder from elsewhere must not make us
 * read, and then publish, other files. The cache of the Hugging Face hub keeps every file of `snapshots/…` in `blobs`
 * beside it; these belong to the folder.
 */
async function insideOf(source: string): Promise<Inside> {
  const root = await realpath(source);
  const snapshots = dirname(root);
  const blobs = basename(snapshots) === "snapshots" ? join(dirname(snapshots), "blobs") : undefined;
  return async (path) => {
    const real = await reading(join(source, path), realpath(join(root, path)));
    if ([root, blobs].some((allowed) => allowed && isWithin(allowed, real))) return real;
    throw new InputError(`${join(source, path)} is a link to ${real}, outside the folder. Put a copy in its place.`);
  };
}

/** Whether a path is a folder or lies in it. Both are absolute and real. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== ".." && !way.startsWith(`..${sep}`) && (way === "" || join(folder, way) === path);
}

async function listing(folder: string): Promise<{ folders: string[]; names: string[] }> {
  const folders: string[] = [];
  const names: string[] = [];
  for (const name of (await reading(folder, readdir(folder))).sort()) {
    if (await isFolder(join(folder, name))) folders.push(name);
    else names.push(name);
  }
  return { folders, names };
}

/** Schedulers and tokenizers have no weights. Models have a `config.json`, and need them. */
function checkNeedsNoWeights(folder: string, names: readonly string[]): void {
  if (!names.includes("config.json") && !names.some(isWeightsName)) return;
  throw new WeightsError(`${folder} has no weights that can be read: ${whatIsThere(names)}`);
}

async function plannedWeights(
  source: string,
  name: string,
  { file, usualName }: WeightsFile,
  inside: Inside,
): Promise<PlannedFile> {
  const path = posixJoin(name, file);
  const from = join(source, path);
  const sources = [await sourceFile(path, inside)];
  if (file.endsWith(".json")) {
    const shards = new Set((await readWeightMap(from)).values());
    for (const shard of shards) sources.push(await sourceFile(posixJoin(name, shard), inside));
  }
  return { path: posixJoin(name, usualName), kind: "weights", from, sources };
}

async function plannedCopy(source: string, path: string, inside: Inside): Promise<PlannedFile> {
  return { path, kind: "copy", from: join(source, path), sources: [await sourceFile(path, inside)] };
}

async function sourceFile(path: string, inside: Inside): Promise<SourceFile> {
  const { size, mtimeMs } = await stat(await inside(path));
  return { path, bytes: size, modified: Math.round(mtimeMs) };
}

/**
 * Configurations, vocabularies, tokenizers' models and texts; not the report of an earlier conversion. Code is not
 * among them: nothing here runs it, and a folder without code can be given on without a second thought.
 */
function isCopied(file: string): boolean {
  return (
    file !== reportName &&
    !isWeightsName(file) &&
    /^[^.].*\.(json|jsonl|txt|model|md|ya?ml)$|^(licen[cs]e|notice)$/i.test(file)
  );
}

function posixJoin(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
