import { type FileHandle, open, realpath } from "node:fs/promises";
import { InputError, WeightsError } from "../errors.ts";
import { readFully, reading, statOfFile, writeFileAtomically } from "../files.ts";
import {
  type Header,
  layOut,
  lengthBytes,
  maxHeaderBytes,
  type PlacedEntry,
  parseHeader,
  type Refuse,
} from "./safetensors-header.ts";
import {
  type ByteRange,
  byteLength,
  type TensorPlace as FilePlace,
  quoted,
  type StoredTensor,
  type TensorEntry,
  type WeightSource,
} from "./source.ts";

/** Something that bytes are read from: a file, a Blob, a file of a web server that gives ranges. */
export interface ByteSource {
  /** What it is called, for messages. */
  readonly path: string;
  /** Bytes that it has. */
  readonly size: number;
  /** The bytes from `start` up to, not including, `end`; fewer where it ends before. */
  read(range: ByteRange): Promise<Uint8Array>;
}

/**
 * Opens a safetensors file (https://huggingface.co/docs/safetensors): reads and checks its header, and no weights yet. What
 * is read after `close`, as the weights that are left in the file, opens it anew, and finds out whether it is the same.
 *
 * @throws WeightsError where there is no such file, or it is not exactly what its header says.
 */
export async function openSafetensors(path: string): Promise<WeightSource> {
  const { size } = await asWeightsError(statOfFile(path));
  const file = await asWeightsError(reading(path, open(path)));
  try {
    const { mtimeMs: modified } = await asWeightsError(reading(path, file.stat()));
    const opened = { path: await asWeightsError(reading(path, realpath(path))), fileSize: size, modified };
    let isClosed = false;
    const read = (range: ByteRange) => (isClosed ? readAgain(path, opened, range) : readRange(file, path, range));
    const { dataStart, entries, source } = await readSource({ path, size, read });
    return {
      ...source,
      place: (name) => {
        const entry = entries.get(name);
        return entry && { ...opened, offset: dataStart + entry.start };
      },
      close: () => {
        isClosed = true;
        return file.close();
      },
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

/**
 * Opens safetensors that lie anywhere, in a browser too. Nothing is held open: whoever gives `bytes` closes what there is
 * to close, and not before the weights that were left there are needed no more.
 *
 * @throws WeightsError where they are not exactly what their header says.
 */
export async function openSafetensorsIn(bytes: ByteSource): Promise<WeightSource> {
  return (await readSource(bytes)).source;
}

async function readSource(bytes: ByteSource) {
  const { entries, metadata, dataStart } = await readHeader(bytes);
  const { path } = bytes;
  const read: WeightSource["read"] = (name, range) =>
    readTensor(bytes, { name, entry: entries.get(name), range, dataStart });
  return { entries, dataStart, source: { path, metadata, entries, read, close: async () => {} } };
}

async function readHeader(bytes: ByteSource): Promise<Header & { dataStart: number }> {
  const { path, size } = bytes;
  const refuse = refuseFile(path);
  const start = await readBytes(bytes, { start: 0, end: Math.min(size, lengthBytes) }, "its header");
  const dataStart = lengthBytes + headerLength(start, size, refuse);
  const json = await readBytes(bytes, { start: lengthBytes, end: dataStart }, "its header");
  return { ...parseHeader(json, size - dataStart, refuse), dataStart };
}

/** The length that a file of `size` bytes gives to its header. */
function headerLength(start: Uint8Array, size: number, refuse: Refuse): number {
  const text = String.fromCharCode(...start);
  for (const [beginning, sentence] of knownBeginnings) if (text.startsWith(beginning)) refuse(sentence);
  if (start.length < lengthBytes) refuse(`it has only ${size} bytes.`);
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > BigInt(maxHeaderBytes))
    refuse(`its header would have ${length} bytes; at most ${maxHeaderBytes} are read.`);
  if (lengthBytes + Number(length) > size) refuse(`its header of ${length} bytes goes past its end, at ${size} bytes.`);
  return Number(length);
}

const knownBeginnings = [
  ["version ", "it is the pointer that Git LFS keeps in place of the file. Run `git lfs pull` where it came from."],
  ["PK\x03\x04", "it is a PyTorch pickle, which is not read yet. Save the model with safe_serialization=True."],
  ["<!DOCTYP", "it is a web page. Download the file itself."],
  ["<html", "it is a web page. Download the file itself."],
] as const;

interface TensorPlace {
  name: string;
  entry: PlacedEntry | undefined;
  range: ByteRange | undefined;
  dataStart: number;
}

async function readTensor(bytes: ByteSource, place: TensorPlace): Promise<Uint8Array> {
  const { name, entry, range, dataStart } = place;
  if (!entry) throw new WeightsError(`${bytes.path} has no tensor ${quoted(name)}.`);
  const size = entry.end - entry.start;
  const { start, end } = range ?? { start: 0, end: size };
  if (start < 0 || end > size || start > end) throw new RangeError(`Tensor ${name} has no bytes ${start} to ${end}.`);
  const first = dataStart + entry.start;
  return readBytes(bytes, { start: first + start, end: first + end }, `tensor ${quoted(name)}`);
}

async function readBytes(source: ByteSource, range: ByteRange, what: string): Promise<Uint8Array> {
  const length = range.end - range.start;
  const bytes = await source.read(range).catch((error) => {
    if (!(error instanceof RangeError)) throw error;
    throw new WeightsError(
      `${source.path} can't be read: ${what} takes ${length} bytes, more than there is memory for.`,
    );
  });
  if (bytes.length === length) return bytes;
  throw new WeightsError(
    `${source.path} ended within ${what}: it was cut short after it had been opened. Get it again.`,
  );
}

async function readRange(file: FileHandle, path: string, { start, end }: ByteRange): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  const length = await asWeightsError(reading(path, readFully(file, bytes, start)));
  return bytes.subarray(0, length);
}

/** Reads from a file that was closed, where it is still the one that was opened. */
async function readAgain(path: string, opened: Omit<FilePlace, "offset">, range: ByteRange): Promise<Uint8Array> {
  const file = await asWeightsError(reading(path, open(opened.path)));
  try {
    const bytes = await readRange(file, path, range);
    const { size, mtimeMs } = await asWeightsError(reading(path, file.stat()));
    if (size === opened.fileSize && mtimeMs === opened.modified) return bytes;
    throw new WeightsError(`${path} has changed since the model's weights were opened: load the model again.`);
  } finally {
    await file.close();
  }
}

function refuseFile(path: string): Refuse {
  return (sentence) => {
    throw new WeightsError(`${path} can't be read as safetensors: ${sentence}`);
  };
}

/** Awaits the work of reading weights; what is wrong with the file at all is wrong with the weights. */
export async function asWeightsError<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw error instanceof InputError ? new WeightsError(error.message) : error;
  }
}

/** A tensor whose bytes are made when their turn comes. */
export interface LazyTensor extends TensorEntry {
  readonly name: string;
  /** Its bytes in order, little-endian, in pieces of any size. */
  pieces(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

export interface WriteSafetensorsOptions {
  metadata?: Readonly<Record<string, string>>;
  signal?: AbortSignal | undefined;
  /** Called after every piece with the bytes written so far and the bytes of the whole file. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes a safetensors file, one piece of one tensor at a time. It is there whole or not at all. Its data begin at a
 * multiple of 64, and so does every tensor whose size is one: these come first.
 *
 * @throws InputError where the file can't be written.
 */
export function writeSafetensors(
  path: string,
  tensors: Iterable<LazyTensor>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  return writeFileAtomically(path, fileOf([...tensors], options), { signal: options.signal });
}

/** The file as pieces. */
async function* fileOf(
  tensors: readonly LazyTensor[],
  { metadata = {}, onProgress }: WriteSafetensorsOptions,
): AsyncGenerator<Uint8Array> {
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  if (byName.size < tensors.length || byName.has("__metadata__")) throw new Error("Two tensors with one name.");
  const { head, order, totalBytes } = layOut(byName, metadata);
  yield head;
  let done = head.length;
  for (const name of order) {
    const tensor = byName.get(name)!;
    const end = done + byteLength(tensor);
    for await (const piece of tensor.pieces()) {
      yield piece;
      done += piece.length;
      onProgress?.(done, totalBytes);
    }
    if (done !== end) throw new Error(`Tensor ${name} gave ${done - end} bytes more than its shape has.`);
  }
}

/** A safetensors file in memory. */
export function encodeSafetensors(
  tensors: Readonly<Record<string, StoredTensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const byName = new Map(Object.entries(tensors));
  const { head, order, totalBytes } = layOut(byName, metadata);
  const file = new Uint8Array(totalBytes);
  file.set(head);
  let position = head.length;
  for (const name of order) {
    const tensor = byName.get(name)!;
    if (tensor.bytes.length !== byteLength(tensor)) throw new Error(`The bytes of tensor ${name} don't fit its shape.`);
    file.set(tensor.bytes, position);
    position += tensor.bytes.length;
  }
  return file;
}

/**
 * The tensors of a safetensors file in memory; their bytes are views of it. `where` names it in messages.
 *
 * @throws WeightsError where it is not exactly what its header says.
 */
export function decodeSafetensors(file: Uint8Array, where: string): Map<string, StoredTensor> {
  const refuse = refuseFile(where);
  const dataStart = lengthBytes + headerLength(file.subarray(0, lengthBytes), file.length, refuse);
  const data = new Uint8Array(file.buffer, file.byteOffset + dataStart, file.length - dataStart);
  const { entries } = parseHeader(file.subarray(lengthBytes, dataStart), data.length, refuse);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { dtype, shape, start, end }] of entries) {
    tensors.set(name, { dtype, shape, bytes: data.subarray(start, end) });
  }
  return tensors;
}
