import { access, constants, type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { InputError } from "./errors.ts";

/** What a file is made of: all of it, or piece after piece. */
export type Content = Uint8Array | string | Iterable<Uint8Array> | AsyncIterable<Uint8Array>;

export interface WriteOptions {
  /** Heard between pieces: the writing ends with the signal's reason and leaves nothing behind. */
  signal?: AbortSignal | undefined;
}

/**
 * Writes a file that is there whole or not at all: the bytes go to a temporary file beside it, reach the disk, and only
 * then take the name. Whatever ends the writing (an error, an abort, a full disk), an earlier file of that name stays
 * as it was. Devices and pipes have no such thing as half a file and are written straight.
 *
 * @throws InputError where the folder is missing, may not be written, or the disk is full.
 */
export async function writeFileAtomically(path: string, content: Content, options: WriteOptions = {}): Promise<void> {
  const present = await statIfPresent(path);
  if (present?.isDirectory()) throw new InputError(`${path} is a folder: give the name of a file to write.`);
  if (present && !present.isFile()) return writeStraight(path, content, options);
  // A link keeps pointing where it points: the file that it names is replaced, not the link.
  const target = present ? await naming(path, realpath(path)) : path;
  if (present) await naming(path, access(target, constants.W_OK));
  const temporary = temporaryBeside(target);
  try {
    const file = await naming(path, open(temporary, "wx", present?.mode));
    await closing(file, async () => {
      await writeAll(file, path, content, options);
      await naming(path, file.sync());
    });
    await naming(path, rename(temporary, target));
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(target));
}

/**
 * Whether a name is one that `writeFileAtomically` gives to a file that is being written. A kill can leave one behind.
 */
export function isTemporaryName(name: string): boolean {
  return /^\..+\.[0-9a-f]{8}\.partial$/.test(name);
}

function temporaryBeside(path: string): string {
  const unique = crypto.randomUUID().slice(0, 8);
  // A name may have 255 bytes; the longest that we make would pass it.
  return join(dirname(path), `.${basename(path).slice(0, 40)}.${unique}.partial`);
}

async function writeStraight(path: string, content: Content, options: WriteOptions): Promise<void> {
  const file = await naming(path, open(path, "w"));
  await closing(file, () => writeAll(file, path, content, options));
}

async function writeAll(file: FileHandle, path: string, content: Content, { signal }: WriteOptions): Promise<void> {
  const pieces = typeof content === "string" || content instanceof Uint8Array ? [content] : content;
  signal?.throwIfAborted();
  for await (const piece of pieces) {
    await naming(path, file.writeFile(piece));
    signal?.throwIfAborted();
  }
}

async function closing(file: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await file.close();
  }
}

/** The new name itself must reach the disk. Some systems cannot open a folder; they order their writes themselves. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder).catch(() => undefined);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

async function statIfPresent(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw writeError(path, error);
  }
}

/** Awaits the work of writing a path; what the system reports becomes an `InputError`. */
export async function naming<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw writeError(path, error);
  }
}

function writeError(path: string, error: unknown): unknown {
  switch ((error as NodeJS.ErrnoException).code) {
    case "ENOENT":
    case "ENOTDIR":
      return new InputError(`${path} can't be written: there is no folder ${dirname(path)}. Make it first.`);
    case "EACCES":
    case "EPERM":
      return new InputError(`${path} can't be written: this user may not write there. Choose another place.`);
    case "EROFS":
      return new InputError(`${path} can't be written: its disk is read-only. Choose another place.`);
    case "EEXIST":
      return new InputError(`${path} can't be a folder: a file has that name. Choose another place.`);
    case "ENOSPC":
    case "EDQUOT":
      return new InputError(`${path} can't be written: the disk is full. Free some space or choose another place.`);
    case "EFBIG":
      return new InputError(`${path} can't be written: its disk can't hold a file of this size. Choose another place.`);
    case "ENAMETOOLONG":
      return new InputError(`${path} can't be written: the name is too long. Choose a shorter one.`);
    case "EIO":
      return new InputError(`${path} can't be written: the disk reports an error. Choose another place.`);
    case undefined:
      return error;
    default:
      return new InputError(`${path} can't be written (${(error as Error).message}). Choose another place.`);
  }
}

/**
 * The text of a file of at most `limit` bytes.
 *
 * @throws InputError where there is no such file, it is larger, or it is not UTF-8.
 */
export async function readTextFile(path: string, { limit }: { limit: number }): Promise<string> {
  const bytes = await readFileWithin(path, limit);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new InputError(`${path} is not UTF-8 text.`);
  }
}

/**
 * The value in a JSON file of at most 32 MiB. What it holds is still to be checked.
 *
 * @throws InputError where there is no such file, it is larger, or it is not JSON.
 */
export async function readJsonFile(path: string): Promise<unknown> {
  const text = await readTextFile(path, { limit: 32 * 2 ** 20 });
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`${path} is not JSON: ${(error as Error).message}`);
  }
}

/** The bytes of a file of at most `limit` bytes. @throws InputError where there is no such file, or it is larger. */
export async function readFileWithin(path: string, limit: number): Promise<Uint8Array> {
  // Asked before opening: to open a pipe would wait for a writer.
  const { size } = await statOfFile(path);
  if (size > limit) throw new InputError(`${path} has ${size} bytes; a file of this kind has at most ${limit}.`);
  const file = await reading(path, open(path));
  try {
    const bytes = new Uint8Array(size);
    const length = await readFully(file, bytes, 0).catch((error) => reading(path, Promise.reject(error)));
    return bytes.subarray(0, length);
  } finally {
    await file.close();
  }
}

/** Fills `bytes` from `position` on and returns how many there were: fewer where the file ends. */
export async function readFully(file: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(bytes.length - done, 2 ** 30); // one call of the system reads less than 2 GiB
    const { bytesRead } = await file.read(bytes, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** @throws InputError where there is nothing, or something that is not a file. */
export async function statOfFile(path: string) {
  const found = await reading(path, stat(path));
  if (found.isDirectory()) throw new InputError(`${path} is a folder, not a file.`);
  if (!found.isFile()) throw new InputError(`${path} is not a regular file.`);
  return found;
}

/** Awaits the work of reading a path; what the system reports becomes an `InputError`. */
export async function reading<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    switch ((error as NodeJS.ErrnoException).code) {
      case "ENOENT":
      case "ENOTDIR":
        throw new InputError(`There is no ${path}.`);
      case "EACCES":
      case "EPERM":
        throw new InputError(`${path} can't be read: this user may not read it.`);
      case undefined:
        throw error;
      default:
        throw new InputError(`${path} can't be read (${(error as Error).message}).`);
    }
  }
}
