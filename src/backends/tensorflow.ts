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
      if (!isNotInstalled(error, name)) failures.push(`${name} (${firstLine(error)})`);
    }
  }
  if (failures.length > 0) {
    throw new InputError(
      `The backend "tensorflow" is installed, but can't be loaded: ${failures.join("; ")}. ` +
        'Its native library is downloaded when it is installed: "npm rebuild @tensorflow/tfjs-node" tries that again. ' +
        'The backend "wasm" needs nothing.',
    );
  }
  throw new InputError(
    'The backend "tensorflow" is not installed: "npm install @tensorflow/tfjs-node" adds it ' +
      '(or @tensorflow/tfjs-node-gpu, for CUDA). The backend "wasm" needs nothing.',
  );
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
