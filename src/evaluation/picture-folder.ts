import { readdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import * as z from "zod";
import { readJsonLine } from "../config.ts";
import { InputError } from "../errors.ts";
import { readFileWithin, reading, readTextFile } from "../files.ts";
import {
  decodePng,
  decodePngTexts,
  generationRecordFrom,
  maxPngBytes,
  type Picture,
  type PngTexts,
} from "../image/index.ts";

export interface FoundPicture {
  /** Its path in the folder. */
  file: string;
  picture: Picture;
  /** What it shows or was asked to show, in one language each; undefined where nothing says it. */
  captions: readonly string[] | undefined;
}

const captionsName = "captions.jsonl";
const maxTextBytes = 2 ** 28;
const lineSchema = z.object({ file: z.string().min(1), captions: z.array(z.string().min(1)).min(1) });

/** The PNG files of a folder, in the order of their names, and what is said of them. */
export class PictureFolder {
  readonly path: string;
  /** Paths in the folder. */
  readonly files: readonly string[];
  readonly #captions: ReadonlyMap<string, readonly string[]>;

  private constructor(path: string, files: readonly string[], captions: ReadonlyMap<string, readonly string[]>) {
    this.path = path;
    this.files = files;
    this.#captions = captions;
  }

  /**
   * Captions come from `prompts`, a file with a line for each picture; else from the folder's `captions.jsonl`, of lines
   * `{"file": "a.png", "captions": ["猫", "a cat"]}`; else each picture's own file may hold its prompt, as `generate` writes it.
   * @throws InputError where there is no such folder, it has no PNG files, or the lines do not fit them
   */
  static async open(path: string, { prompts }: { prompts?: string | undefined } = {}): Promise<PictureFolder> {
    const all = await reading(path, readdir(path, { recursive: true }));
    const files = all.filter((name) => /\.png$/i.test(name)).sort();
    if (files.length === 0) throw new InputError(`${path} has no PNG files.`);
    if (prompts !== undefined) return new PictureFolder(path, files, await readPrompts(prompts, path, files));
    const hasCaptions = all.includes(captionsName);
    return new PictureFolder(path, files, hasCaptions ? await readCaptions(path, files) : new Map());
  }

  /** Whether something says what the pictures show, as far as the first of them tells. */
  async hasCaptions(): Promise<boolean> {
    if (this.#captions.size > 0) return true;
    const path = join(this.path, this.files[0]!);
    return promptIn(decodePngTexts(await readFileWithin(path, maxPngBytes), path), path) !== undefined;
  }

  /** Reads one after another. @throws InputError that names a file that is no PNG, is damaged or cut short */
  async *pictures(signal?: AbortSignal): AsyncGenerator<FoundPicture, void> {
    for (const file of this.files) {
      signal?.throwIfAborted();
      const path = join(this.path, file);
      const { picture, texts } = decodePng(await readFileWithin(path, maxPngBytes), path);
      yield { file, picture, captions: this.#captions.get(file) ?? promptIn(texts, path) };
    }
  }
}

function promptIn(texts: PngTexts, path: string): string[] | undefined {
  if (!texts.has("generation_config") && !texts.has("parameters")) return undefined;
  return [generationRecordFrom(texts, path).prompt];
}

async function readPrompts(where: string, path: string, files: readonly string[]): Promise<Map<string, string[]>> {
  const text = await readTextFile(where, { limit: maxTextBytes });
  const lines = text.replace(/\r?\n$/, "").split(/\r?\n/);
  if (lines.length !== files.length) {
    throw new InputError(
      `${where} has ${lines.length} lines, and ${path} has ${files.length} pictures: a line for each is needed, in the order of their names.`,
    );
  }
  return new Map(files.map((file, i) => [file, [lines[i]!]]));
}

async function readCaptions(path: string, files: readonly string[]): Promise<Map<string, readonly string[]>> {
  const where = join(path, captionsName);
  const captions = new Map<string, readonly string[]>();
  for (const [i, line] of (await readTextFile(where, { limit: maxTextBytes })).split("\n").entries()) {
    if (line.trim() === "") continue;
    const read = readJsonLine(lineSchema, line, `${where}, line ${i + 1}`);
    captions.set(normalize(read.file), read.captions);
  }
  const missing = files.find((file) => !captions.has(file));
  if (missing === undefined) return captions;
  throw new InputError(`${where} has no line for ${missing}. Add one, or give prompts in a file of their own.`);
}
