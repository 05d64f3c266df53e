import { mkdir, readdir, realpath, rm, stat, statfs } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { InputError, WeightsError } from "../errors.ts";
import { isTemporaryName, naming, readFileWithin, writeFileAtomically } from "../files.ts";
import { isWithin, type Plan, type PlannedFile, planConversion } from "./conversion-plan.ts";
import {
  type ConversionReport,
  type ConvertedFile,
  readReport,
  reportName,
  sha256OfFile,
  writeReport,
} from "./conversion-report.ts";
import {
  plannedBytes,
  plannedTensors,
  type StorageChoice,
  verifyConverted,
  writeConverted,
} from "./convert-weights.ts";
import { withUsualNames } from "./names.ts";
import { openWeights } from "./open.ts";
import { quoted } from "./source.ts";

export interface ConvertOptions {
  /** How weights are stored. */
  dtype: StorageChoice;
  /** Heard between pieces of a tensor. What was done so far stays, and the next call goes on from there. */
  signal?: AbortSignal | undefined;
  onProgress?: ((progress: ConvertProgress) => void) | undefined;
}

export interface ConvertProgress {
  /** The file that is being made, inside the destination. */
  readonly file: string;
  /** Bytes of work done so far, and in the end: what is written, and the same again to compare it. */
  readonly done: number;
  readonly total: number;
  /** Undefined until there is something to judge by. */
  readonly secondsLeft: number | undefined;
}

/**
 * Converts the folder of a diffusers pipeline to one of the same shape: every component's weights in one safetensors
 * file with today's names, aligned data and the chosen dtype, and the small files unchanged. Every file is written
 * whole or not at all and compared with its source. A conversion that was cut off goes on where it stopped. Whatever
 * the size of the model, no more than some pieces of 4 MiB are in memory.
 *
 * @returns the report, which is also in the destination as `conversion.json`.
 * @throws InputError, ConfigError or WeightsError where the source is not complete and sound, the destination is not
 * empty and not ours, or the disk is full.
 */
export async function convertFolder(
  source: string,
  dest: string,
  { dtype, signal, onProgress }: ConvertOptions,
): Promise<ConversionReport> {
  const plan = await planConversion(source);
  const jobs: Job[] = [];
  for (const file of plan.files) jobs.push(await jobFor(file, dtype));
  await checkApart(source, dest);
  const earlier = await prepare(dest, plan, dtype);

  const done = new Map<string, ConvertedFile>();
  const report = (): ConversionReport => ({
    format: "tfjs-diffusion conversion",
    version: 1,
    dtype,
    files: plan.files.flatMap(({ path }) => done.get(path) ?? []),
    unfinished: plan.files.map(({ path }) => path).filter((path) => !done.has(path)),
    leftOut: [...plan.leftOut],
  });
  const progress = new Progress(jobs, onProgress);
  for (const job of jobs) {
    const before = earlier.find(({ path }) => path === job.file.path);
    progress.begin(job);
    if (!before || !(await isStillGood(dest, before, job.file, signal))) continue;
    done.set(before.path, before);
    progress.skip(job);
  }
  const rest = jobs.filter(({ file }) => !done.has(file.path));
  await checkSpace(dest, rest);
  await writeReport(dest, report());
  for (const job of rest) {
    progress.begin(job);
    done.set(job.file.path, await make(job, dest, { dtype, signal, onBytes: (count) => progress.add(count) }));
    await writeReport(dest, report());
  }
  return report();
}

/** A file to make, and how large it will be. */
interface Job {
  readonly file: PlannedFile;
  readonly bytes: number;
}

/** Reads the headers of all weights, so that what is wrong with them is known before a byte is written. */
async function jobFor(file: PlannedFile, dtype: StorageChoice): Promise<Job> {
  if (file.kind === "copy") return { file, bytes: file.sources[0]!.bytes };
  const weights = await openWeights(file.from);
  try {
    return { file, bytes: plannedBytes(plannedTensors(withUsualNames(weights), dtype)) };
  } finally {
    await weights.close();
  }
}

/** Neither may lie in the other: one would grow while it is read. */
async function checkApart(source: string, dest: string): Promise<void> {
  if (!isWithin(await realpath(source), await realPathOfNew(resolve(dest)))) return;
  throw new InputError(`${dest} is inside ${source}. Choose a folder outside of it.`);
}

/** The real path of something that may not exist yet. */
async function realPathOfNew(path: string): Promise<string> {
  try {
    return await realpath(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(await realPathOfNew(parent), basename(path));
  }
}

/** Makes the destination, or finds it as an earlier call left it, and returns what was finished then. */
async function prepare(dest: string, plan: Plan, dtype: StorageChoice): Promise<readonly ConvertedFile[]> {
  await naming(dest, mkdir(dest, { recursive: true }));
  const found = (await naming(dest, readdir(dest))).filter((name) => !isTemporaryOf(reportName, name));
  if (found.length === 0) return [];
  if (!found.includes(reportName)) {
    const listed = found.slice(0, 5).map(quoted).join(", ") + (found.length > 5 ? ", …" : "");
    throw new InputError(
      `${dest} has files that no conversion made (${listed}). Choose a folder that is empty or new.`,
    );
  }
  const earlier = await readReport(dest);
  const paths = [...earlier.files.map(({ path }) => path), ...earlier.unfinished].sort();
  const isSame = String(paths) === String(plan.files.map(({ path }) => path).sort()) && earlier.dtype === dtype;
  if (!isSame) {
    throw new InputError(
      `${dest} holds a conversion of another model or with another dtype (${earlier.dtype}). ` +
        "Choose another folder, or remove it.",
    );
  }
  await removeTemporaries(dest, plan);
  return earlier.files;
}

/** What a kill left behind. */
async function removeTemporaries(dest: string, plan: Plan): Promise<void> {
  for (const path of [reportName, ...plan.files.map(({ path }) => path)]) {
    const folder = dirname(join(dest, path));
    for (const name of await readdir(folder).catch(() => [])) {
      if (isTemporaryOf(basename(path), name)) await rm(join(folder, name), { force: true });
    }
  }
}

function isTemporaryOf(file: string, name: string): boolean {
  return isTemporaryName(name) && name.startsWith(`.${file.slice(0, 40)}.`);
}

/** Whether a file is as it was when it was finished, and its sources are too. */
async function isStillGood(
  dest: string,
  before: ConvertedFile,
  planned: PlannedFile,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  if (JSON.stringify(before.sources) !== JSON.stringify(planned.sources)) return false;
  const path = join(dest, before.path);
  const found = await stat(path).catch(() => undefined);
  return (
    found?.isFile() === true && found.size === before.bytes && (await sha256OfFile(path, signal)) === before.sha256
  );
}

async function checkSpace(dest: string, jobs: readonly Job[]): Promise<void> {
  const needed = jobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const { bavail, bsize } = await statfs(dest);
  if (needed <= bavail * bsize) return;
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
  throw new InputError(
    `${dest} is on a disk with ${gigabytes(bavail * bsize)} free; the conversion needs ${gigabytes(needed)}. ` +
      "Free some space, or choose another place or float16.",
  );
}

interface MakeOptions extends ConvertOptions {
  onBytes: (count: number) => void;
}

async function make({ file }: Job, dest: string, options: MakeOptions): Promise<ConvertedFile> {
  const path = join(dest, file.path);
  await naming(path, mkdir(dirname(path), { recursive: true }));
  const tensors =
    file.kind === "weights" ? await makeWeights(file, path, options) : await makeCopy(file, path, options);
  const { size } = await stat(path);
  const sha256 = await sha256OfFile(path, options.signal);
  return { path: file.path, bytes: size, sha256, sources: [...file.sources], ...tensors };
}

async function makeWeights(
  file: PlannedFile,
  path: string,
  { dtype, ...options }: MakeOptions,
): Promise<Pick<ConvertedFile, "tensors">> {
  const weights = await openWeights(file.from);
  try {
    const source = withUsualNames(weights);
    const tensors = plannedTensors(source, dtype);
    await writeConverted(path, source, tensors, options);
    await removingOnError(path, verifyConverted(path, source, tensors, options));
    return { tensors: tensors.map(({ shape, ...tensor }) => ({ ...tensor, shape: [...shape] })) };
  } finally {
    await weights.close();
  }
}

/** A configuration or a vocabulary has at most this size. */
const smallFileBytes = 64 * 2 ** 20;

async function makeCopy(file: PlannedFile, path: string, { signal, onBytes }: MakeOptions): Promise<object> {
  const bytes = await readFileWithin(file.from, smallFileBytes);
  await writeFileAtomically(path, bytes, { signal });
  onBytes(bytes.length);
  const verify = async () => {
    if (Buffer.compare(await readFileWithin(path, smallFileBytes), bytes) === 0) return onBytes(bytes.length);
    throw new WeightsError(`${path} is not what was written. Check the disk, then convert again.`);
  };
  await removingOnError(path, verify());
  return {};
}

async function removingOnError(path: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}

/** Counts bytes of work and judges the time that is left. */
class Progress {
  readonly #onProgress: ConvertOptions["onProgress"];
  readonly #total: number;
  #file = "";
  #done = 0;
  #skipped = 0;
  #started = performance.now();

  constructor(jobs: readonly Job[], onProgress: ConvertOptions["onProgress"]) {
    this.#total = jobs.reduce((sum, job) => sum + workOf(job), 0);
    this.#onProgress = onProgress;
  }

  begin({ file }: Job): void {
    this.#file = file.path;
    this.#tell();
  }

  add(count: number): void {
    this.#done += count;
    this.#tell();
  }

  /** Work that an earlier call did says nothing about the pace of this one. */
  skip(job: Job): void {
    this.#done += workOf(job);
    this.#skipped += workOf(job);
    this.#started = performance.now();
    this.#tell();
  }

  #tell(): void {
    const made = this.#done - this.#skipped;
    const seconds = (performance.now() - this.#started) / 1000;
    const secondsLeft = made > 0 ? (seconds * (this.#total - this.#done)) / made : undefined;
    this.#onProgress?.({ file: this.#file, done: this.#done, total: this.#total, secondsLeft });
  }
}

/** Bytes written, and read again. */
function workOf({ bytes }: Job): number {
  return 2 * bytes;
}
