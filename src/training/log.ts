import { type FileHandle, open, readFile, stat } from "node:fs/promises";
import { naming, reading, writeFileAtomically } from "../files.ts";
import type { StepReport } from "./trainer.ts";

/** The line of a step in log.jsonl. */
export interface LogEntry extends StepReport {
  readonly stage: number;
  /** That the step took, in preparing it too. */
  readonly seconds: number;
}

/** The line of a look at samples. */
export interface SampleEntry {
  readonly step: number;
  readonly samples: Readonly<Record<string, number>>;
}

/** The file that has a line of JSON for every step. */
export class TrainingLog {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #entries: (LogEntry | SampleEntry)[];

  private constructor(path: string, file: FileHandle, entries: (LogEntry | SampleEntry)[]) {
    this.#path = path;
    this.#file = file;
    this.#entries = entries;
  }

  /** Opens it to go on after a step. What it has of later ones is taken out: they are done again. */
  static async open(path: string, step: number): Promise<TrainingLog> {
    const entries = (await readLines(path)).filter((entry) => entry.step <= step);
    await writeFileAtomically(path, entries.map(line).join(""));
    return new TrainingLog(path, await naming(path, open(path, "a")), entries);
  }

  /** The steps. */
  get entries(): LogEntry[] {
    return this.#entries.filter(isStep);
  }

  /** @throws InputError where the disk is full */
  async add(entry: LogEntry | SampleEntry): Promise<void> {
    await naming(this.#path, this.#file.appendFile(line(entry)));
    this.#entries.push(entry);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}

/** The steps of a log; none where there is no file. */
export async function readLog(path: string): Promise<LogEntry[]> {
  return (await readLines(path)).filter(isStep);
}

function isStep(entry: LogEntry | SampleEntry): entry is LogEntry {
  return "loss" in entry;
}

/** The lines that are whole. A kill may have cut the last. */
async function readLines(path: string): Promise<(LogEntry | SampleEntry)[]> {
  if (!(await stat(path).catch(() => undefined))) return [];
  const text = await reading(path, readFile(path, "utf8"));
  const entries: (LogEntry | SampleEntry)[] = [];
  for (const one of text.split("\n")) {
    try {
      const entry: unknown = JSON.parse(one);
      if (typeof entry === "object" && entry !== null && "step" in entry) entries.push(entry as LogEntry | SampleEntry);
    } catch {} // not whole
  }
  return entries;
}

function line(entry: LogEntry | SampleEntry): string {
  return `${JSON.stringify(entry)}\n`;
}
