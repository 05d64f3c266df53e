import { join } from "node:path";
import { InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import type { Compiler } from "./compiler.ts";
import type { TensorflowLibrary } from "./library.ts";
import { ask, lastLines } from "./processes.ts";

/** The file of the package that holds the addon, as `@mapbox/node-pre-gyp` finds it for this Node. */
export async function addonFile(packageFolder: string): Promise<string> {
  return join(packageFolder, `lib/napi-v${await nodeApiVersion(packageFolder)}/tfjs_binding.node`);
}

/** The newest version of Node-API that the package and this Node both know. Its interface stays the same in newer Nodes. */
async function nodeApiVersion(packageFolder: string): Promise<number> {
  const { binary } = (await readJsonFile(join(packageFolder, "package.json"))) as {
    binary: { napi_versions: number[] };
  };
  return Math.max(...binary.napi_versions.filter((version) => version <= Number(process.versions.napi)));
}

interface Sources {
  packageFolder: string;
  /** The folder with `node_api.h`. */
  headers: string;
  library: TensorflowLibrary;
  compiler: Compiler;
}

/**
 * Compiles the package's addon into `file`. Two sources and two libraries are one command for the compiler: neither
 * node-gyp nor make is needed. The addon remembers where the library lies, so that the library finds its own neighbours
 * (CUDA's, where pip installed them).
 * @throws InputError with what the compiler says
 */
export async function compileAddon(
  { packageFolder, headers, library, compiler }: Sources,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  // "now": a function that the library lacks is an error when the addon is loaded, not the process's end when it is called.
  const ofPlatform =
    process.platform === "darwin" ? ["-undefined", "dynamic_lookup"] : ["-Xlinker", "-z", "-Xlinker", "now"];
  const command = [
    ...compiler.command,
    ...["-std=c++17", "-O2", "-fPIC", "-shared", "-pthread", ...ofPlatform],
    ...[`-DNAPI_VERSION=${await nodeApiVersion(packageFolder)}`, "-DNODE_GYP_MODULE_NAME=tfjs_binding"],
    ...["-I", headers, "-I", library.include],
    ...["binding/tfjs_backend.cc", "binding/tfjs_binding.cc"].map((source) => join(packageFolder, source)),
    ...library.files,
    ...["-Xlinker", "-rpath", "-Xlinker", join(library.files[0]!, "..")],
    ...["-o", file],
  ];
  const { code, stderr } = await ask(command, { signal });
  if (code === 0) return;
  const errors = stderr.split("\n").filter((line) => /error|cannot find|undefined reference/.test(line));
  throw new InputError(
    `The addon can't be compiled with ${compiler.description}. It says:\n${(errors.length > 0 ? errors : [stderr]).slice(0, 5).join("\n")}\n` +
      "Another compiler can be named with the environment variable CXX.",
  );
}

export interface Tried {
  /** Of TensorFlow, as the library says it. */
  version: string;
  seesGpu: boolean;
  /** What TensorFlow told standard error, where it looked for a GPU. */
  remarks: string;
}

const trial = `
const binding = require(process.argv[1]);
console.log(JSON.stringify([binding.TF_Version, binding.isUsingGpuDevice()]));
`;

/** Loads an addon in a process of its own, where it starts TensorFlow. @throws InputError where it does not load */
export async function tryAddon(file: string, signal?: AbortSignal): Promise<Tried> {
  const { code, stdout, stderr } = await ask([process.execPath, "-e", trial, file], { signal });
  if (code !== 0) {
    const reason = /^Error: (.*)$/m.exec(stderr)?.[1] ?? lastLines(stderr, 3);
    throw new InputError(
      `The addon was compiled, but does not load: ${reason || `exit code ${code}`}. Another version of TensorFlow may do.`,
    );
  }
  const [version, seesGpu] = JSON.parse(lastLines(stdout, 1)) as [string, boolean];
  return { version, seesGpu, remarks: stderr };
}
