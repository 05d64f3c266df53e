import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";

// Neither is a dependency that must be there, so both are imported by names that the compiler does not follow.
const packages: readonly string[] = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"];

/**
 * Imports whichever of tfjs's two native packages is installed. The name and version come back.
 * @throws InputError where neither is installed, or none loads
 */
export async function importTensorflow(): Promise<string> {
  const failures: string[] = [];
  for (const name of packages.filter(isInstalled)) {
    supplyRemovedFunctions();
    // TensorFlow tells standard error about the processor's instructions, unless this is set.
    process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
    try {
      const { version } = await import(name);
      return `${version["tfjs-node"]} (${name})`;
    } catch (error) {
      failures.push(`${name}: ${reason(firstLine(error))}`);
      forgetKernels();
    }
  }
  if (failures.length > 0) {
    const gpu = failures.every((failure) => failure.startsWith(`${packages[0]}:`)) ? " --gpu" : "";
    throw new InputError(
      `The backend "tensorflow" is installed, but can't be loaded: ${failures.join("; ")}. ` +
        `"tfjs-diffusion tensorflow-link${gpu}" builds its addon against the TensorFlow that Python has. ` +
        'The backend "wasm" needs nothing.',
    );
  }
  throw new InputError(
    'The backend "tensorflow" is not installed: "tfjs-diffusion tensorflow-link" adds it, with the TensorFlow that ' +
      'Python has (--gpu for CUDA). The backend "wasm" needs nothing.',
  );
}

/** What a native package's failure means, by words of the system's loader, of Node and of the package. */
const meanings: readonly [words: RegExp, meaning: string][] = [
  [/can ?not be found at path/, "it has no addon, as its install script did not run or could not download it"],
  [/libtensorflow\S*: cannot open|not loaded: \S*libtensorflow/, "the TensorFlow that its addon was built for is gone"],
  [/undefined symbol|symbol not found|version .* not found/i, "its addon was built for another version of TensorFlow"],
  [/NODE_MODULE_VERSION|N-?API|did not self-register/i, "its addon was built for another Node"],
  [/\bELF\b|mach-o|architecture|\.node: cannot open/i, "its addon was built for another kind of computer"],
];

function reason(words: string): string {
  const meaning = meanings.find(([pattern]) => pattern.test(words))?.[1];
  return meaning === undefined ? words : `${meaning} (${words.trim().replace(/\.$/, "")})`;
}

/** Asked first: nothing of this process is changed where TensorFlow is not used. */
function isInstalled(name: string): boolean {
  const modules = globalThis.process?.getBuiltinModule?.("node:module");
  if (!modules) return false;
  try {
    modules.createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** A package registers its kernels before it looks for its addon: the next one would warn of each that is there. */
function forgetKernels(): void {
  for (const { kernelName } of tf.getKernelsForBackend("tensorflow")) tf.unregisterKernel(kernelName, "tensorflow");
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0]!;
}

/** tfjs-node 4.22 calls functions of `node:util` that Node 23 removed. */
function supplyRemovedFunctions(): void {
  const util = process.getBuiltinModule("node:util") as unknown as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}

/** Makes the active backend, tfjs-node's, sparing with memory, and fast. */
export async function prepareTensorflow(): Promise<void> {
  const [{ keepMemorySmall }, { registerTensorflowKernels }] = await Promise.all([
    import("./tensorflow-memory.ts"),
    import("./tensorflow-kernels.ts"),
  ]);
  keepMemorySmall();
  registerTensorflowKernels();
}
