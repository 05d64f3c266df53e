import { realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { InputError } from "../errors.ts";
import { isThere } from "./library.ts";
import { askIfPresent } from "./processes.ts";

export interface Compiler {
  /** The program, and arguments that `CXX` has for it. */
  command: string[];
  /** The first line of what it says of itself. */
  description: string;
}

const advice =
  process.platform === "darwin"
    ? '"xcode-select --install" installs one.'
    : '"apt-get install g++" (or your system\'s like) installs one.';

/** The C++ compiler of the environment variable `CXX`, or the system's. @throws InputError where there is none */
export async function findCompiler(signal?: AbortSignal): Promise<Compiler> {
  const chosen = process.env.CXX?.trim();
  const candidates = chosen ? [chosen.split(/\s+/)] : [["c++"], ["g++"], ["clang++"]];
  for (const command of candidates) {
    const answer = await askIfPresent([...command, "--version"], { signal });
    if (answer?.code === 0) return { command, description: answer.stdout.split("\n")[0]!.trim() };
  }
  throw new InputError(
    chosen
      ? `The C++ compiler that CXX names, "${chosen}", does not run: correct or unset it.`
      : `There is no C++ compiler (c++, g++ or clang++): ${advice}`,
  );
}

/**
 * The folder of Node's headers: they lie under the prefix of the `node` program. Undefined where they were left out, as
 * some distributions do; npm has them too.
 */
export async function nodeHeaders(): Promise<string | undefined> {
  const folder = join(dirname(dirname(await realpath(process.execPath))), "include/node");
  return (await isThere(join(folder, "node_api.h"))) ? folder : undefined;
}
