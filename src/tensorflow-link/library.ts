import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { InputError } from "../errors.ts";
import { askIfPresent, lastLines } from "./processes.ts";

/** TensorFlow's library with its C interface, as it lies on the disk. */
export interface TensorflowLibrary {
  /** What it was found in: Python's package, or what was given as `--from`. */
  folder: string;
  /** The headers' folder, with `tensorflow/c/c_api.h` in it. */
  include: string;
  /** What the addon is linked with. All lie in one folder. */
  files: string[];
  /** As the installation says it; undefined where nothing does. */
  version: string | undefined;
  /** Undefined where nothing says whether it was built for CUDA. */
  isForCuda: boolean | undefined;
}

export interface LibraryPlace {
  /** The Python program that has `tensorflow`; `python3`, or else `python`, where neither is given. */
  python?: string | undefined;
  /** The folder of Python's package `tensorflow`, or of the unpacked C library. */
  from?: string | undefined;
}

/** The oldest that was tried. Some versions before it had no library in Python's package that others can be linked with. */
const oldest = [2, 13] as const;

/** Where the library lies in Python's package, and where in the archive of the C library that TensorFlow publishes. */
const layouts =
  process.platform === "darwin"
    ? [
        { under: ".", names: ["libtensorflow_cc.2.dylib", "libtensorflow_framework.2.dylib"] },
        { under: "lib", names: ["libtensorflow.2.dylib", "libtensorflow_framework.2.dylib"] },
      ]
    : [
        { under: ".", names: ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] },
        { under: "lib", names: ["libtensorflow.so.2", "libtensorflow_framework.so.2"] },
      ];

/** @throws InputError where there is none, it is too old, or its headers are missing */
export async function findLibrary({ python, from }: LibraryPlace, signal?: AbortSignal): Promise<TensorflowLibrary> {
  const library = from === undefined ? await ofPython(python, signal) : await inFolder(resolve(from), "--from ");
  const numbers = library.version?.split(".").map(Number);
  if (numbers && (numbers[0] !== oldest[0] || numbers[1]! < oldest[1])) {
    throw new InputError(
      `${library.folder} is TensorFlow ${library.version}; this needs ${oldest.join(".")} or newer, and older than 3.`,
    );
  }
  return library;
}

// Found without being imported, which would take seconds. A folder that the program was started in is not Python's.
const question = `
import importlib.util, json, platform, sys
sys.path = [path for path in sys.path if path]
spec = importlib.util.find_spec("tensorflow")
places = list(spec.submodule_search_locations or []) if spec else []
print(json.dumps([platform.python_version(), places[0] if places else None]))
`;

async function ofPython(python: string | undefined, signal: AbortSignal | undefined): Promise<TensorflowLibrary> {
  const candidates = python === undefined ? ["python3", "python"] : [python.includes("/") ? resolve(python) : python];
  for (const program of candidates) {
    const answer = await askIfPresent([program, "-c", question], { signal });
    if (!answer) continue;
    const [version, folder] = parse(answer.stdout);
    if (answer.code !== 0 || version === undefined) {
      const words = lastLines(answer.stderr, 1) || "no words";
      throw new InputError(`${program} does not answer as Python 3 does (exit code ${answer.code}, ${words}).`);
    }
    if (folder) return inFolder(folder);
    throw new InputError(
      `${program} (Python ${version}) has no TensorFlow: "${program} -m pip install tensorflow-cpu" adds it ` +
        '("tensorflow[and-cuda]" for CUDA). Or name another Python with --python.',
    );
  }
  throw new InputError(
    `There is no program ${candidates.join(" or ")}: name the Python that has TensorFlow with --python, ` +
      "or the folder of its C library with --from.",
  );
}

function parse(stdout: string): [version?: string, folder?: string | null] {
  try {
    const answer: unknown = JSON.parse(lastLines(stdout, 1));
    return Array.isArray(answer) ? (answer as [string, string | null]) : [];
  } catch {
    return [];
  }
}

async function inFolder(folder: string, option = ""): Promise<TensorflowLibrary> {
  if (!(await isThere(folder))) throw new InputError(`${option}${folder}: there is no such folder.`);
  for (const { under, names } of layouts) {
    const files = names.map((name) => join(folder, under, name));
    if (!(await isThere(files[0]!))) continue;
    const needed = [...files, join(folder, "include/tensorflow/c/eager/c_api.h")];
    for (const path of needed) {
      if (!(await isThere(path))) throw new InputError(`${folder} is no whole TensorFlow: ${path} is missing.`);
    }
    return {
      folder,
      include: join(folder, "include"),
      files,
      version: (await installedVersion(folder)) ?? (await versionInName(files[0]!)),
      isForCuda: await saysCuda(folder),
    };
  }
  throw new InputError(
    `${option}${folder} holds no TensorFlow library of version ${oldest.join(".")} or newer: there is no ` +
      `${layouts.map(({ under, names }) => join(under, names[0]!)).join(", and no ")} in it.`,
  );
}

/** What pip noted beside the package, whichever of TensorFlow's packages it was. */
async function installedVersion(folder: string): Promise<string | undefined> {
  const notes =
    /^(?:tensorflow(?:_(?:cpu|gpu|rocm|macos|aarch64|cpu_aws))?|tf_nightly(?:_cpu)?)-(\d+\.\d+[^-]*)\.dist-info$/;
  const names = basename(folder) === "tensorflow" ? await readdir(dirname(folder)).catch(() => []) : [];
  return names.map((name) => notes.exec(name)?.[1]).find((version) => version !== undefined);
}

/** libtensorflow.so.2 is a link to libtensorflow.so.2.18.0. */
async function versionInName(library: string): Promise<string | undefined> {
  return /\.(\d+\.\d+\.\d+)(?:\.dylib)?$/.exec(await realpath(library))?.[1];
}

async function saysCuda(folder: string): Promise<boolean | undefined> {
  const notes = await readFile(join(folder, "python/platform/build_info.py"), "utf8").catch(() => "");
  const word = /is_cuda_build\W+(True|False)/.exec(notes)?.[1];
  return word === undefined ? undefined : word === "True";
}

export async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
