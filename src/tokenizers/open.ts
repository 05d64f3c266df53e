import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, InputError, WeightsError } from "../errors.ts";
import { SentencePiece } from "./sentencepiece.ts";
import { readSettings, type TokenizerFiles, type TokenizerSettings } from "./settings.ts";
import { SiglipTokenizer } from "./siglip.ts";
import { T5Tokenizer } from "./t5.ts";
import type { Tokenizer } from "./tokenizer.ts";

const classes = { SiglipTokenizer, T5Tokenizer };
const modelNames = ["spiece.model", "tokenizer.model"];
const mebibyte = 2 ** 20;
const largest = { json: 64 * mebibyte, model: 64 * mebibyte };
const longestLength = 65_536;

/**
 * Opens a tokenizer's folder as transformers saves it: a SentencePiece model, `tokenizer_config.json`, and where they are
 * there `special_tokens_map.json`, `added_tokens.json` and `tokenizer.json`. Its ids are those of transformers' slow tokenizers.
 * @param className as in `model_index.json`; without it, the `tokenizer_class` of the folder.
 * @param length how many tokens the text encoder takes, for a folder that does not say (`model_max_length`).
 * @throws ConfigError for a class or a setting that is not supported, WeightsError for a damaged model, InputError for
 * files that cannot be read.
 */
export async function openTokenizer(folder: string, className?: string, length?: number): Promise<Tokenizer> {
  const settings = readSettings(await readFiles(folder), folder);
  const Class = classFor(className ?? settings.className, folder);
  const places = lengthFor(settings, Class.defaultLength ?? length, folder);
  const { bytes, path } = await readModel(folder);
  const sentencePiece = await SentencePiece.load(
    bytes,
    path,
    Class.addsDummyPrefix(settings) ? {} : { dummyPrefix: false },
  );
  try {
    return new Class(settings, sentencePiece, places, folder);
  } catch (error) {
    sentencePiece.close();
    throw error;
  }
}

function classFor(name: string | undefined, folder: string): (typeof classes)[keyof typeof classes] {
  const where = join(folder, "tokenizer_config.json");
  const supported = Object.keys(classes).join(" and ");
  if (!name) throw new ConfigError(`${where} does not say its tokenizer_class. Supported are ${supported}.`);
  const plainName = name.replace(/Fast$/, "");
  if (Object.hasOwn(classes, plainName)) return classes[plainName as keyof typeof classes];
  const yet = plainName === "CLIPTokenizer" ? " yet" : "";
  throw new ConfigError(`${where}: the tokenizer ${name} is not supported${yet}. Supported are ${supported}.`);
}

function lengthFor({ maxLength }: TokenizerSettings, otherwise: number | undefined, folder: string): number {
  // transformers writes 1e30 for "no limit", and takes all above 1e20 for it.
  const length = maxLength === undefined || maxLength > 1e20 ? otherwise : maxLength;
  const where = join(folder, "tokenizer_config.json");
  if (length === undefined) {
    throw new ConfigError(`${where} has no model_max_length. Add the number of tokens that the text encoder takes.`);
  }
  if (!Number.isInteger(length) || length < 1 || length > longestLength) {
    throw new ConfigError(
      `${where}: model_max_length is ${length}; it has to be a whole number from 1 to ${longestLength}.`,
    );
  }
  return length;
}

async function readFiles(folder: string): Promise<TokenizerFiles> {
  const read = (name: string) => readJson(join(folder, name));
  return {
    "tokenizer_config.json": await read("tokenizer_config.json"),
    "special_tokens_map.json": await read("special_tokens_map.json"),
    "added_tokens.json": await read("added_tokens.json"),
    "tokenizer.json": await read("tokenizer.json"),
  };
}

async function readJson(path: string): Promise<unknown> {
  const bytes = await readIfThere(path, largest.json);
  if (!bytes) return undefined;
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new ConfigError(`${path} is not a JSON file. Copy it again from where it came from.`);
  }
}

async function readModel(folder: string): Promise<{ bytes: Uint8Array; path: string }> {
  for (const name of modelNames) {
    const path = join(folder, name);
    const bytes = await readIfThere(path, largest.model);
    if (bytes) return { bytes, path };
  }
  throw new WeightsError(
    `${folder} has no ${modelNames.join(" or ")}, so it has no tokenizer that can be used here (tokenizer.json alone is not enough). Copy that file into it.`,
  );
}

async function readIfThere(path: string, most: number): Promise<Uint8Array | undefined> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new InputError(`${path} is not a file.`);
    if (info.size > most) {
      throw new InputError(`${path} has ${info.size} bytes, more than a tokenizer's file can have (${most}).`);
    }
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return undefined;
    if (code) throw new InputError(`${path} cannot be read (${code}).`, { cause: error });
    throw error;
  }
}
