import { access, constants, link as hardLink, mkdir, rename, rm, rmdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError } from "../errors.ts";
import { naming, readJsonFile, writeFileAtomically } from "../files.ts";
import { addonFile, compileAddon, type Tried, tryAddon } from "./addon.ts";
import { type Compiler, findCompiler, nodeHeaders } from "./compiler.ts";
import { findLibrary, isThere, type LibraryPlace, type TensorflowLibrary } from "./library.ts";
import {
  checkFits,
  fetchPackages,
  findPackage,
  type PackagePlace,
  removeLeftStages,
  removeWhole,
  shareOurs,
  stageOf,
} from "./package.ts";

export interface LinkOptions extends LibraryPlace {
  /** Links `@tensorflow/tfjs-node-gpu`, and wants a TensorFlow that was built for CUDA. */
  gpu?: boolean | undefined;
}

/** All that was found out before anything is changed. */
export interface LinkPlan {
  library: TensorflowLibrary;
  compiler: Compiler;
  /** Undefined where they must be fetched. */
  headers: string | undefined;
  place: PackagePlace;
}

export interface LinkRun {
  signal?: AbortSignal | undefined;
  /** Called before and after each part of the work. */
  onStep?: (task: string, isDone: boolean) => void;
}

/** What the package's folder keeps of a link, for `undoLink`. */
interface Note {
  /** Whether the package was not there, so that it goes as a whole. */
  fetched: boolean;
  library: string;
  tensorflow: string;
}

const noteName = "tensorflow-link.json";
const npmHeaders = "node-api-headers";

export function packageName(isForGpu: boolean | undefined): PackagePlace["name"] {
  return isForGpu ? "@tensorflow/tfjs-node-gpu" : "@tensorflow/tfjs-node";
}

/** Looks whether all that linking needs is there. Changes nothing. @throws InputError with what is missing */
export async function planLink({ gpu, ...where }: LinkOptions, signal?: AbortSignal): Promise<LinkPlan> {
  if (process.platform === "win32") {
    throw new InputError(
      "On Windows TensorFlow's Python package has no library to link with: use the backend onnxruntime, or WSL.",
    );
  }
  const library = await findLibrary(where, signal);
  if (gpu && library.isForCuda === false) {
    throw new InputError(
      `TensorFlow in ${library.folder} was built without CUDA: "pip install tensorflow[and-cuda]" has it. ` +
        "Without --gpu this one is linked for the processor.",
    );
  }
  const compiler = await findCompiler(signal);
  const place = await findPackage(packageName(gpu));
  await checkFits(place);
  for (const folder of [dirname(place.folder), ...(place.isInstalled ? [place.folder] : [])]) {
    await naming(join(folder, "tfjs_binding.node"), access(folder, constants.W_OK));
  }
  return { library, compiler, headers: await nodeHeaders(), place };
}

/**
 * Builds the addon beside the package, tries it, and puts it in its place: whatever ends this, the package is as it was
 * or linked. What was there before is kept for `undoLink`.
 * @throws InputError where npm or the compiler can't, or the addon does not load
 */
export async function link(plan: LinkPlan, { signal, onStep }: LinkRun = {}): Promise<Tried> {
  const { library, place } = plan;
  await removeLeftStages(place.folder);
  const stage = stageOf(place.folder);
  const step = async <T>(task: string, work: Promise<T>): Promise<T> => {
    onStep?.(task, false);
    const result = await work;
    onStep?.(task, true);
    return result;
  };
  await naming(stage, mkdir(stage));
  try {
    const missing = missingPackages(plan);
    if (missing.length > 0) {
      const project = join(dirname(place.folder), "../..");
      await step("fetching from npm", fetchPackages(missing, stage, { project, signal }));
    }
    const fetched = join(stage, "node_modules");
    const packageFolder = place.isInstalled ? place.folder : join(fetched, place.name);
    const headers = plan.headers ?? join(fetched, npmHeaders, "include");
    const addon = join(stage, "tfjs_binding.node");
    await step("compiling", compileAddon({ ...plan, packageFolder, headers }, addon, signal));
    const tried = await step("starting TensorFlow", tryAddon(addon, signal));
    const note = { library: library.folder, tensorflow: tried.version };
    if (place.isInstalled) await replaceAddon(place.folder, addon, note);
    else await putPackage(packageFolder, place.folder, addon, note);
    return tried;
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** What must come from npm, with versions. */
export function missingPackages({ place, headers }: LinkPlan): string[] {
  return [
    ...(place.isInstalled ? [] : [`${place.name}@${place.version}`]),
    ...(headers === undefined ? [npmHeaders] : []),
  ];
}

async function putPackage(made: string, folder: string, addon: string, note: Omit<Note, "fetched">): Promise<void> {
  await shareOurs(made);
  const file = await addonFile(made);
  await mkdir(dirname(file), { recursive: true });
  await rename(addon, file);
  await writeNote(made, { fetched: true, ...note });
  await naming(folder, rename(made, folder));
}

/** First a second name for what is there, then the note, then the swap: between any two of them `undoLink` is right. */
async function replaceAddon(folder: string, addon: string, note: Omit<Note, "fetched">): Promise<void> {
  const file = await addonFile(folder);
  const earlier = await readNote(folder);
  await naming(file, mkdir(dirname(file), { recursive: true }));
  if (!earlier) {
    await rm(kept(file), { force: true });
    if (await isThere(file)) await naming(kept(file), hardLink(file, kept(file)));
  }
  await writeNote(folder, { fetched: earlier?.fetched ?? false, ...note });
  await naming(file, rename(addon, file));
}

function kept(addon: string): string {
  return `${addon}.before-link`;
}

async function readNote(folder: string): Promise<Note | undefined> {
  const path = join(folder, noteName);
  return (await isThere(path)) ? ((await readJsonFile(path)) as Note) : undefined;
}

async function writeNote(folder: string, note: Note): Promise<void> {
  await writeFileAtomically(join(folder, noteName), `${JSON.stringify(note, null, 2)}\n`);
}

/** Restores what was there before the first `link`. Says what it did. @throws InputError where nothing is linked */
export async function undoLink({ gpu }: Pick<LinkOptions, "gpu">): Promise<string> {
  const { name, folder, isInstalled } = await findPackage(packageName(gpu));
  const note = isInstalled ? await readNote(folder) : undefined;
  if (!note) {
    const other = gpu ? "without --gpu" : "with --gpu";
    throw new InputError(
      `${name} is not linked, so there is nothing to undo (${other} it is about the other package).`,
    );
  }
  await removeLeftStages(folder);
  if (note.fetched) {
    await naming(folder, removeWhole(folder));
    return `${folder} is removed: tensorflow-link had fetched it.`;
  }
  const file = await addonFile(folder);
  const hadAddon = await isThere(kept(file));
  if (hadAddon) await naming(file, rename(kept(file), file));
  else await removeAddon(file);
  await naming(folder, rm(join(folder, noteName)));
  return `${folder} is as it was before, ${hadAddon ? "with its own addon" : "without an addon"}.`;
}

async function removeAddon(file: string): Promise<void> {
  await naming(file, rm(file, { force: true }));
  // npm makes no empty folders: what is empty now came with the addon.
  for (const folder of [dirname(file), dirname(dirname(file))]) await rmdir(folder).catch(() => undefined);
}
