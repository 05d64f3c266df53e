import { InputError } from "../errors.ts";

// Neither is a dependency that must be there, so both are imported by names that the compiler does not follow.
const packages: readonly string[] = ["@tensorflow/tfjs-node-gpu", "@tensorflow/tfjs-node"];

/**
 * Imports whichever of tfjs's two native packages is installed. The name and version come back.
 * @throws InputError where neither is installed, or none loads
 */
export async function importTensorflow(): Promise<string> {
  supplyRemovedFunctions();
  // TensorFlow tells standard error about the processor's instructions, unless this is set.
  if (globalThis.process) process.env.TF_CPP_MIN_LOG_LEVEL ??= "2";
  const failures: string[] = [];
  for (const name of packages) {
    try {
      const { version } = await import(name);
      return `${version["tfjs-node"]} (${name})`;
    } catch (error) {
      if (!isNotInstalled(error, name)) failures.push(`${name}: ${reason(firstLine(error))}`);
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

function isNotInstalled(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === "ERR_MODULE_NOT_FOUND" && message.includes(`'${name}'`);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split("\n")[0]!;
}

/** tfjs-node 4.22 calls functions of `node:util` that Node 23 removed. */
function supplyRemovedFunctions(): void {
  const util = globalThis.process?.getBuiltinModule?.("node:util") as unknown as Record<string, unknown> | undefined;
  if (!util) return;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
}
