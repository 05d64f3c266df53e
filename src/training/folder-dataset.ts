import { open, readdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import * as z from "zod";
import { readJsonLine } from "../config.ts";
import { InputError } from "../errors.ts";
import { readFileWithin, readFully, reading, readTextFile, statOfFile } from "../files.ts";
import { decodePng, decodePngSize, decodePngTexts, maxPngBytes, pngSizeBytes } from "../image/index.ts";
import { coverAndCrop } from "./crop.ts";
import type { Dataset, Example } from "./dataset.ts";
import { Draws } from "./draws.ts";

export interface FolderDatasetOptions {
  /** Where a crop lies in a picture whose shape is not the one that is asked for: every picture has its own place, or the middle. */
  crop: "center" | "random";
  /** Of random places. */
  seed: number;
}

const captionsName = "captions.jsonl";
const maxCaptionsBytes = 2 ** 29; // a text of V8's has no more characters

const lineSchema = z.strictObject({
  file: z
    .string()
    .regex(/^(?![/\\])(?!.*(^|[/\\])\.\.([/\\]|$)).*\.png$/i, "it must be the path of a PNG file in the folder"),
  captions: z
    .array(z.string().refine((text) => text.trim() !== "", "a caption must not be empty"))
    .min(1, "there must be at least one caption"),
  labels: z.array(z.string()).default([]),
});

interface Item extends z.output<typeof lineSchema> {
  /** Of `captions.jsonl`, from 1. */
  line: number;
  width: number;
  height: number;
}

/**
 * A folder of PNG files with a `captions.jsonl`: for each of them a line `{"file": "a.png", "captions": ["猫", "a cat"],
 * "labels": ["…"]}`, labels where it has any. Of pictures, only headers are read when it is opened, and the rest when their turn
 * comes.
 */
export class FolderDataset implements Dataset {
  readonly #folder: string;
  readonly #items: readonly Item[];
  readonly #options: FolderDatasetOptions;

  private constructor(folder: string, items: readonly Item[], options: FolderDatasetOptions) {
    this.#folder = folder;
    this.#items = items;
    this.#options = options;
  }

  /**
   * @throws InputError that names the line or the file: where a line is wrong, or a picture is missing, has no line, is no PNG
   * file or is cut short
   */
  static async open(folder: string, options: FolderDatasetOptions): Promise<FolderDataset> {
    const where = join(folder, captionsName);
    const lines = readLines(await readTextFile(where, { limit: maxCaptionsBytes }), where);
    await checkComplete(folder, lines);
    const items: Item[] = [];
    for (const line of lines) items.push({ ...line, ...(await readSize(join(folder, line.file))) });
    return new FolderDataset(folder, items, options);
  }

  get length(): number {
    return this.#items.length;
  }

  sizeOf(index: number): readonly [width: number, height: number] {
    const { width, height } = this.#items[index]!;
    return [width, height];
  }

  async read(index: number, width: number, height: number): Promise<Example> {
    const { file, captions, labels } = this.#items[index]!;
    const path = join(this.#folder, file);
    const { picture } = decodePng(await readFileWithin(path, maxPngBytes), path);
    const [down, across] =
      this.#options.crop === "center" ? [0.5, 0.5] : new Draws(this.#options.seed, index).uniform(2);
    return { ...coverAndCrop(picture, { width, height, place: [down!, across!] }), captions, labels };
  }

  /** Every caption, with the file and the line that it stands in. */
  *captions(): Generator<{ caption: string; where: string }> {
    const path = join(this.#folder, captionsName);
    for (const { file, line, captions } of this.#items) {
      for (const caption of captions) yield { caption, where: `${path}, line ${line} (${file})` };
    }
  }
}

type Line = Omit<Item, "width" | "height">;

function readLines(text: string, where: string): Line[] {
  const lines: Line[] = [];
  for (const [i, json] of text.split("\n").entries()) {
    if (json.trim() === "") continue;
    const fields = readJsonLine(lineSchema, json, `${where}, line ${i + 1}`);
    lines.push({ ...fields, file: normalize(fields.file), line: i + 1 });
  }
  if (lines.length === 0) throw new InputError(`${where} has no lines: it needs one for each picture.`);
  return lines;
}

/** A picture without a caption is more likely a mistake than a wish; so is a line without a picture, or a second for it. */
async function checkComplete(folder: string, lines: readonly Line[]): Promise<void> {
  const files = new Set(
    (await reading(folder, readdir(folder, { recursive: true }))).filter((name) => /\.png$/i.test(name)),
  );
  const where = join(folder, captionsName);
  const described = new Map<string, number>();
  for (const { file, line } of lines) {
    if (!files.has(file)) throw new InputError(`${where}, line ${line}: there is no ${join(folder, file)}.`);
    const earlier = described.get(file);
    if (earlier)
      throw new InputError(
        `${where}, line ${line}: ${file} stands in line ${earlier} already. Put its captions together.`,
      );
    described.set(file, line);
  }
  const missing = [...files].filter((file) => !described.has(file)).sort();
  if (missing.length === 0) return;
  const others = missing.length > 1 ? `, as have ${missing.length - 1} others` : "";
  throw new InputError(`${join(folder, missing[0]!)} has no caption: ${where} has no line for it${others}.`);
}

/** The last part of every PNG file. */
const ending = Buffer.from([0, 0, 0, 0, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82]);

/** @throws InputError where it is no PNG file, or is cut short: better said before the training than in the midst of it */
async function readSize(path: string): Promise<{ width: number; height: number }> {
  const { size } = await statOfFile(path);
  const file = await reading(path, open(path));
  try {
    const [first, last] = [new Uint8Array(Math.min(size, pngSizeBytes)), new Uint8Array(ending.length)];
    await reading(path, readFully(file, first, 0));
    await reading(path, readFully(file, last, Math.max(0, size - ending.length)));
    // What follows the end is passed over by all who read pictures, so the whole must be looked at before it is refused.
    if (!ending.equals(last)) decodePngTexts(await readFileWithin(path, maxPngBytes), path);
    return decodePngSize(first, path);
  } finally {
    await file.close();
  }
}
