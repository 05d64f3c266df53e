import { copyFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { isThere } from "./library.ts";
import { askIfPresent, lastLines } from "./processes.ts";

/** Where tfjs's native package is, or is to be. */
export interface PackagePlace {
  name: "@tensorflow/tfjs-node" | "@tensorflow/tfjs-node-gpu";
  version: string;
  folder: string;
  isInstalled: boolean;
}

/**
 * Where the program that imports `tfjs-diffusion` finds the package: beside the `@tensorflow/tfjs-core` that it computes
 * with, be it in a clone, in a project that depends on this, or installed globally.
 */
export async function findPackage(name: PackagePlace["name"]): Promise<PackagePlace> {
  const core = (await firstOnTheWayUp("@tensorflow/tfjs-core"))!;
  const version = await versionOf(core);
  const installed = await firstOnTheWayUp(name);
  return { name, version, folder: installed ?? join(core, "../..", name), isInstalled: installed !== undefined };
}

/** @throws InputError where an installed package does not belong to the tfjs that we compute with */
export async function checkFits({ name, version, folder, isInstalled }: PackagePlace): Promise<void> {
  if (!isInstalled) return;
  const found = await versionOf(folder);
  if (found !== version) {
    throw new InputError(
      `${folder} is version ${found}, which does not fit tfjs ${version}: ` +
        `"npm install --ignore-scripts ${name}@${version}" replaces it.`,
    );
  }
  const [its, ours] = [join(folder, "package.json"), import.meta.url].map((path) =>
    createRequire(path).resolve("@tensorflow/tfjs-core"),
  );
  if (its !== ours) {
    throw new InputError(
      `${folder} would run on another copy of tfjs (${its}) than this package (${ours}): remove the folder, ` +
        "and give the command again.",
    );
  }
}

/** Where Node finds a package that this module imports. Links are kept: what they point to has other neighbours. */
async function firstOnTheWayUp(name: string): Promise<string | undefined> {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const candidate = join(folder, "node_modules", name);
    if (basename(folder) !== "node_modules" && (await isThere(join(candidate, "package.json")))) return candidate;
    if (dirname(folder) === folder) return undefined;
    folder = dirname(folder);
  }
}

async function versionOf(folder: string): Promise<string> {
  return ((await readJsonFile(join(folder, "package.json"))) as { version: string }).version;
}

/**
 * Installs packages from npm under `stage/node_modules`, none of their install scripts run, each with what it needs
 * within its own folder. npm is told of the project's settings (a registry, say).
 * @throws InputError where npm is missing, or can't
 */
export async function fetchPackages(
  packages: readonly string[],
  stage: string,
  { project, signal }: { project: string; signal?: AbortSignal | undefined },
): Promise<void> {
  await writeFile(join(stage, "package.json"), '{ "private": true }\n');
  if (await isThere(join(project, ".npmrc"))) await copyFile(join(project, ".npmrc"), join(stage, ".npmrc"));
  const flags = "--global=false --ignore-scripts --install-strategy=shallow --no-audit --no-fund --no-package-lock";
  const command = ["npm", "install", "--prefix", stage, ...flags.split(" "), ...packages];
  const answer = await askIfPresent(command, { cwd: stage, signal });
  if (!answer) {
    throw new InputError(
      `${packages[0]} is not installed, and there is no program npm to fetch it: install npm, or the package.`,
    );
  }
  if (answer.code !== 0) {
    throw new InputError(
      `npm can't fetch ${packages.join(" and ")}. It says:\n${lastLines(answer.stderr, 6)}\n` +
        "Where this machine has no network, install the package from elsewhere with --ignore-scripts.",
    );
  }
}

/**
 * Takes a fetched package's copies of what this package has anyway out of it. A second tfjs-core would have backends and
 * kernels of its own.
 */
export async function shareOurs(folder: string): Promise<void> {
  for (const name of ["@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-cpu"]) {
    await rm(join(folder, "node_modules", name), { recursive: true, force: true });
  }
}

const stagePrefix = ".tensorflow-link-";

/** The folder beside the package in which everything is made before it takes its place. npm skips names with a dot. */
export function stageOf(folder: string): string {
  return join(dirname(folder), `${stagePrefix}${process.pid}`);
}

/** Removes what earlier runs left that were killed. @throws InputError where one is still running */
export async function removeLeftStages(folder: string): Promise<void> {
  const scope = dirname(folder);
  for (const name of await readdir(scope)) {
    if (!name.startsWith(stagePrefix)) continue;
    const pid = Number(name.slice(stagePrefix.length));
    if (pid !== process.pid && isRunning(pid)) {
      throw new InputError(`Another tensorflow-link (process ${pid}) is at work there: wait for its end.`);
    }
    await rm(join(scope, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Removes a folder that others may look into: first its name, then what is in it. */
export async function removeWhole(folder: string): Promise<void> {
  const aside = stageOf(folder);
  await rename(folder, aside);
  await rm(aside, { recursive: true, force: true });
}
