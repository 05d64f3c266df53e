import { crc32, deflateSync, inflateSync } from "node:zlib";
import { PNG } from "pngjs";
import { InputError } from "../errors.ts";
import { checkPicture, type Picture } from "./picture.ts";

/** A text in a PNG file. The keyword is 1 to 79 characters of Latin-1; standard ones are Title, Author, Software, Comment. */
export interface PngText {
  readonly keyword: string;
  readonly text: string;
  /** For long texts: some readers know only the texts that are not compressed. */
  readonly compressed?: boolean;
}

/** A PNG file's texts by keyword; of two with one keyword, the last. */
export type PngTexts = ReadonlyMap<string, string>;

/** Larger pictures are neither written nor read: 8192×4096, or another shape of as many pixels. */
export const maxPixels = 2 ** 25;

/** Of a file: as many pixels of 64 bits that nothing compresses, and as much again for texts and other parts. */
export const maxPngBytes = 16 * maxPixels;

/** What all compressed texts of a file may come to. */
const maxTextBytes = 64 * 2 ** 20;

const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const headerEnd = signature.length + 12 + 13;

/**
 * A PNG file, 8 bits of red, green and blue, its texts ahead of the pixels. A text is written as tEXt (zTXt where compressed)
 * if it is Latin-1, and as iTXt, in UTF-8, if it is not.
 * @throws InputError where the picture is too large or not of its size, or a keyword is none
 */
export function encodePng(picture: Picture, texts: readonly PngText[] = []): Uint8Array {
  checkPicture(picture);
  const { width, height, data } = picture;
  checkPixels(width, height, "The picture");
  const png = Object.assign(new PNG(), { width, height, data: Buffer.from(data.buffer, data.byteOffset, data.length) });
  const bytes = PNG.sync.write(png, { colorType: 2, inputColorType: 2, inputHasAlpha: false });
  return Buffer.concat([bytes.subarray(0, headerEnd), ...texts.map(textChunk), bytes.subarray(headerEnd)]);
}

/**
 * The picture and the texts of a PNG file of any kind. Colours are brought to 8 bits; transparency is dropped, as Pillow's
 * `convert("RGB")` drops it.
 * @param where the file's path, for messages
 * @throws InputError where the file is no PNG, is damaged, is cut short, or would take too much memory
 */
export function decodePng(bytes: Uint8Array, where: string): { picture: Picture; texts: PngTexts } {
  const chunks = readChunks(bytes, where);
  return { texts: readTexts(chunks, where), picture: readPixels(chunks, where) };
}

/** The texts of a PNG file, without its pixels being decoded. See decodePng. */
export function decodePngTexts(bytes: Uint8Array, where: string): PngTexts {
  return readTexts(readChunks(bytes, where), where);
}

/** The bytes that `decodePngSize` needs. */
export const pngSizeBytes = headerEnd;

/**
 * Width and height of a PNG file, in pixels, from its first bytes. See decodePng.
 * @throws InputError where they are not those of a PNG file, or its pixels would take too much memory
 */
export function decodePngSize(beginning: Uint8Array, where: string): { width: number; height: number } {
  const end = chunkBytes("IEND", new Uint8Array());
  const { width, height } = readHeader(
    readChunks(Buffer.concat([beginning.subarray(0, headerEnd), end]), where),
    where,
  );
  return { width, height };
}

interface Chunk {
  type: string;
  data: Buffer;
}

function chunkBytes(type: string, data: Uint8Array): Buffer {
  const chunk = Buffer.alloc(data.length + 12);
  chunk.writeUInt32BE(data.length, 0);
  chunk.write(type, 4, "latin1");
  chunk.set(data, 8);
  chunk.writeUInt32BE(crc32(chunk.subarray(4, -4)), data.length + 8);
  return chunk;
}

function textChunk({ keyword, text, compressed = false }: PngText): Buffer {
  if (!/^(?! )[\x20-\x7e\xa1-\xff]{1,79}(?<! )$/.test(keyword)) {
    throw new InputError(
      `${JSON.stringify(keyword)} cannot be a PNG keyword: those are 1 to 79 characters of Latin-1.`,
    );
  }
  const clean = text.replaceAll("\0", "\ufffd"); // a zero would end the text for many readers
  const latin1 = Buffer.from(clean, "latin1");
  if (latin1.toString("latin1") === clean) {
    if (!compressed) return chunkBytes("tEXt", Buffer.concat([Buffer.from(`${keyword}\0`, "latin1"), latin1]));
    return chunkBytes("zTXt", Buffer.concat([Buffer.from(`${keyword}\0\0`, "latin1"), deflateSync(latin1)]));
  }
  const utf8 = Buffer.from(clean, "utf8");
  const head = Buffer.from(`${keyword}\0${compressed ? "\x01" : "\0"}\0\0\0`, "latin1"); // no language, no translated keyword
  return chunkBytes("iTXt", Buffer.concat([head, compressed ? deflateSync(utf8) : utf8]));
}

function readChunks(bytes: Uint8Array, where: string): Chunk[] {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!file.subarray(0, signature.length).equals(signature)) {
    throw new InputError(`${where} is not a PNG file. Give a picture in PNG form.`);
  }
  const chunks: Chunk[] = [];
  // Encoders make one for every few kilobytes; more than this is a file that is made to fill memory.
  const most = 200_000;
  let offset = signature.length;
  while (chunks.at(-1)?.type !== "IEND") {
    const length = offset + 12 <= file.length ? file.readUInt32BE(offset) : 0;
    const end = offset + 12 + length;
    if (end > file.length) {
      throw new InputError(
        `${where} is cut short: it ends within a part that should end at byte ${end}. Copy it anew.`,
      );
    }
    if (crc32(file.subarray(offset + 4, end - 4)) !== file.readUInt32BE(end - 4)) {
      throw new InputError(`${where} is damaged: the checksum of the part at byte ${offset} is wrong. Copy it anew.`);
    }
    if (chunks.length === most)
      throw new InputError(`${where} has more than ${most} parts: it is no picture to be read.`);
    chunks.push({ type: file.toString("latin1", offset + 4, offset + 8), data: file.subarray(offset + 8, end - 4) });
    offset = end;
  }
  return chunks;
}

function readTexts(chunks: readonly Chunk[], where: string): PngTexts {
  const texts = new Map<string, string>();
  let left = maxTextBytes;
  const inflate = (data: Buffer): Buffer => {
    const text = inflateAtMost(data, left, `A compressed text of ${where}`);
    left -= text.length;
    return text;
  };
  for (const { type, data } of chunks) {
    const readText = textReaders[type];
    if (!readText) continue;
    const [keyword, rest] = splitAtZero(data, where);
    texts.set(keyword.toString("latin1"), readText(rest, inflate, where));
  }
  return texts;
}

type TextReader = (data: Buffer, inflate: (data: Buffer) => Buffer, where: string) => string;

const textReaders: Readonly<Record<string, TextReader>> = {
  tEXt: (data) => data.toString("latin1"),

  zTXt: (data, inflate, where) => {
    checkMethod(data[0], where);
    return inflate(data.subarray(1)).toString("latin1");
  },

  iTXt: (data, inflate, where) => {
    const [isCompressed, method] = data;
    const [, afterLanguage] = splitAtZero(data.subarray(2), where);
    const [, text] = splitAtZero(afterLanguage, where);
    if (isCompressed !== 0) checkMethod(method, where);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(isCompressed ? inflate(text) : text);
    } catch (error) {
      if (error instanceof InputError) throw error;
      throw new InputError(`${where} is damaged: one of its texts is not in UTF-8.`, { cause: error });
    }
  },
};

function splitAtZero(data: Buffer, where: string): [before: Buffer, after: Buffer] {
  const zero = data.indexOf(0);
  if (zero < 0) throw new InputError(`${where} is damaged: one of its texts has no end to its keyword.`);
  return [data.subarray(0, zero), data.subarray(zero + 1)];
}

function checkMethod(method: number | undefined, where: string): void {
  if (method !== 0) {
    throw new InputError(`${where} has a text that is compressed in a way that PNG does not know.`);
  }
}

function inflateAtMost(data: Buffer, maxBytes: number, what: string): Buffer {
  try {
    return inflateSync(data, { maxOutputLength: Math.max(maxBytes, 1) });
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    const fault = isTooLarge ? "is larger than it may be" : "is damaged: it cannot be decompressed";
    throw new InputError(`${what} ${fault}.`, { cause: error });
  }
}

interface Header {
  width: number;
  height: number;
  bitsPerPixel: number;
  isInterlaced: boolean;
}

const channels: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const depths: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

function readHeader([first]: readonly Chunk[], where: string): Header {
  if (first?.type !== "IHDR" || first.data.length !== 13) {
    throw new InputError(`${where} is damaged: it does not begin with its header. Copy it anew.`);
  }
  const [depth, colorType, compression, filter, interlace] = first.data.subarray(8) as unknown as number[];
  const isKnown = depths[colorType!]?.includes(depth!) && compression === 0 && filter === 0 && interlace! <= 1;
  if (!isKnown) {
    throw new InputError(
      `${where} has colour type ${colorType} at ${depth} bits, or a coding, that PNG does not know.`,
    );
  }
  const width = first.data.readUInt32BE(0);
  const height = first.data.readUInt32BE(4);
  checkPixels(width, height, where);
  return { width, height, bitsPerPixel: channels[colorType!]! * depth!, isInterlaced: interlace === 1 };
}

function checkPixels(width: number, height: number, what: string): void {
  if (width > 0 && height > 0 && width * height <= maxPixels) return;
  throw new InputError(`${what} is ${width}×${height} pixels; a PNG file is supported from 1 to ${maxPixels} pixels.`);
}

function readPixels(chunks: readonly Chunk[], where: string): Picture {
  const header = readHeader(chunks, where);
  const isCritical = ({ type }: Chunk) => type[0]! === type[0]!.toUpperCase();
  const critical = chunks.filter((chunk) => isCritical(chunk) || chunk.type === "tRNS");
  checkCritical(critical, where);
  checkScanlines(critical, header, where);
  const { width, height } = header;
  try {
    const file = Buffer.concat([signature, ...critical.map(({ type, data }) => chunkBytes(type, data))]);
    return { width, height, data: withoutAlpha(PNG.sync.read(file).data) };
  } catch (error) {
    throw new InputError(`${where} is damaged: its pixels cannot be decoded (${(error as Error).message}).`, {
      cause: error,
    });
  }
}

function checkCritical(chunks: readonly Chunk[], where: string): void {
  const foreign = chunks.find(({ type }) => !["IHDR", "PLTE", "tRNS", "IDAT", "IEND"].includes(type));
  if (foreign) throw new InputError(`${where} has a part ${JSON.stringify(foreign.type)}, which PNG does not know.`);
  const types = chunks.map(({ type }) => type);
  const repeated = ["IHDR", "PLTE", "tRNS"].find((type) => types.indexOf(type) !== types.lastIndexOf(type));
  if (repeated) throw new InputError(`${where} is damaged: it has more than one ${repeated}.`);
}

/** pngjs would go on with too few pixels, and decompress interlaced ones without a bound. */
function checkScanlines(chunks: readonly Chunk[], header: Header, where: string): void {
  const compressed = Buffer.concat(chunks.filter(({ type }) => type === "IDAT").map(({ data }) => data));
  const wanted = scanlineBytes(header);
  const found = inflateAtMost(compressed, wanted, `The pixel data of ${where}`).length;
  if (found !== wanted) {
    throw new InputError(`${where} is damaged: its pixels come to ${found} bytes, and its header wants ${wanted}.`);
  }
}

/** Adam7's passes: the first column and row, and the steps. */
const passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Each row is a byte for its filter and then the pixels. */
function scanlineBytes({ width, height, bitsPerPixel, isInterlaced }: Header): number {
  const bytes = (columns: number, rows: number) =>
    columns > 0 && rows > 0 ? rows * (1 + Math.ceil((columns * bitsPerPixel) / 8)) : 0;
  if (!isInterlaced) return bytes(width, height);
  return passes
    .map(([x, y, dx, dy]) => bytes(Math.ceil((width - x) / dx), Math.ceil((height - y) / dy)))
    .reduce((a, b) => a + b);
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    rgb[to] = rgba[from]!;
    rgb[to + 1] = rgba[from + 1]!;
    rgb[to + 2] = rgba[from + 2]!;
  }
  return rgb;
}
