import { byteLength, bytesOf, isDtype, quoted, type TensorEntry } from "./source.ts";

/** Stops with a sentence about what is wrong; the caller adds the file's path. */
export type Refuse = (sentence: string) => never;

/** An entry and where its bytes lie in the data section. */
export interface PlacedEntry extends TensorEntry {
  readonly start: number;
  readonly end: number;
}

export interface Header {
  readonly entries: ReadonlyMap<string, PlacedEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A file begins with the length of its header, 64 bits. */
export const lengthBytes = 8;
export const maxHeaderBytes = 100_000_000;

/** No model comes near these; a header that does would only fill the memory. */
const maxKeys = 100_000;
const maxAxes = 64;

/** Reads a file's header, without its length, and checks that its tensors fill the data section exactly. */
export function parseHeader(bytes: Uint8Array, dataBytes: number, refuse: Refuse): Header {
  const entries = new Map<string, PlacedEntry>();
  const metadata: Record<string, string> = Object.create(null);
  const json = new HeaderText(decodeUtf8(bytes, refuse), refuse);
  for (const name of json.keys("its header")) {
    if (name === "__metadata__") for (const key of json.keys("its metadata")) metadata[key] = json.string();
    else entries.set(name, parseEntry(name, json, refuse));
  }
  json.end();
  checkCoverage(entries, dataBytes, refuse);
  return { entries, metadata };
}

function parseEntry(name: string, json: HeaderText, refuse: Refuse): PlacedEntry {
  const tensor = `tensor ${quoted(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  for (const field of json.keys(tensor)) {
    if (field === "dtype") dtype = json.string();
    else if (field === "shape") shape = json.integers(`the shape of ${tensor}`);
    else if (field === "data_offsets") offsets = json.integers(`the data_offsets of ${tensor}`);
    else refuse(`${tensor} has a field ${quoted(field)}, which safetensors files do not have.`);
  }
  if (!dtype || !shape || !offsets) return refuse(`${tensor} lacks one of dtype, shape and data_offsets.`);
  if (!isDtype(dtype)) {
    return refuse(`${tensor} is stored as ${quoted(dtype)}, which is not read. Store it as F32, F16 or BF16.`);
  }
  const [start, end, ...more] = offsets;
  if (start === undefined || end === undefined || more.length > 0 || start > end) {
    return refuse(`the data_offsets of ${tensor} are not a begin and an end.`);
  }
  const needed = byteLength({ dtype, shape });
  if (needed !== end - start) {
    refuse(
      `${tensor} takes ${needed} bytes as ${dtype} [${shape.slice(0, 16)}], but its data_offsets span ${end - start}.`,
    );
  }
  return { dtype, shape, start, end };
}

/** No gap, no overlap, nothing before, nothing after. */
function checkCoverage(entries: ReadonlyMap<string, PlacedEntry>, dataBytes: number, refuse: Refuse): void {
  let position = 0;
  const inOrder = [...entries].sort(([, a], [, b]) => a.start - b.start || a.end - b.end);
  for (const [name, { start, end }] of inOrder) {
    if (end > dataBytes) {
      refuse(`it is cut short: tensor ${quoted(name)} ends at byte ${end} of the data, which has ${dataBytes}.`);
    }
    if (start < position) refuse(`tensor ${quoted(name)} overlaps the one before it.`);
    if (start > position)
      refuse(`there are ${start - position} bytes before tensor ${quoted(name)} that belong to none.`);
    position = end;
  }
  if (position < dataBytes)
    refuse(`there are ${dataBytes - position} bytes after the last tensor that belong to none.`);
}

function decodeUtf8(bytes: Uint8Array, refuse: Refuse): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse("its header is not UTF-8.");
  }
}

/**
 * The JSON of a header, read in one pass. `JSON.parse` would hide keys that stand twice, round numbers, and build
 * whatever a hostile file asks for; this reads the few forms that a header has and stops at the first other.
 */
class HeaderText {
  readonly #text: string;
  readonly #refuse: Refuse;
  #at = 0;

  constructor(text: string, refuse: Refuse) {
    this.#text = text;
    this.#refuse = refuse;
  }

  /** The keys of an object. After each, the caller reads its value. */
  *keys(where: string): Generator<string> {
    const seen = new Set<string>();
    this.#take("{");
    if (this.#takes("}")) return;
    do {
      const key = this.string();
      if (seen.has(key)) this.#refuse(`${quoted(key)} stands twice in ${where}.`);
      if (seen.size === maxKeys) this.#refuse(`${where} has more than ${maxKeys} keys.`);
      seen.add(key);
      this.#take(":");
      yield key;
    } while (this.#takes(","));
    this.#take("}");
  }

  integers(where: string): number[] {
    const numbers: number[] = [];
    this.#take("[");
    if (this.#takes("]")) return numbers;
    do {
      if (numbers.length === maxAxes) this.#refuse(`${where} has more than ${maxAxes} numbers.`);
      numbers.push(this.#integer(where));
    } while (this.#takes(","));
    this.#take("]");
    return numbers;
  }

  string(): string {
    this.#take('"');
    const start = this.#at;
    let end = this.#text.indexOf('"', start);
    while (end >= 0 && this.#isEscaped(end, start)) end = this.#text.indexOf('"', end + 1);
    if (end < 0) return this.#refuse("its header ends within a string.");
    this.#at = end + 1;
    let value: string;
    try {
      value = JSON.parse(this.#text.slice(start - 1, end + 1));
    } catch {
      return this.#refuse(`its header has a string that is not JSON, at character ${start}.`);
    }
    return /\p{Surrogate}/u.test(value) ? this.#refuse(`its header has half a character at ${start}.`) : value;
  }

  end(): void {
    this.#skipSpaces();
    if (this.#at < this.#text.length) this.#refuse("its header goes on after its end.");
  }

  #integer(where: string): number {
    this.#skipSpaces();
    const [literal = ""] = /^[-+.\w]*/.exec(this.#text.slice(this.#at, this.#at + 32)) ?? [];
    const value = Number(literal);
    if (!/^(0|[1-9]\d*)$/.test(literal) || !Number.isSafeInteger(value)) {
      const found = literal || this.#text.charAt(this.#at);
      this.#refuse(`${where} has ${found ? quoted(found) : "an end"} where a whole number from 0 to 2⁵³ is due.`);
    }
    this.#at += literal.length;
    return value;
  }

  #isEscaped(at: number, start: number): boolean {
    let first = at;
    while (first > start && this.#text.charCodeAt(first - 1) === 0x5c) first--;
    return (at - first) % 2 === 1;
  }

  #takes(char: string): boolean {
    this.#skipSpaces();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #take(char: string): void {
    if (this.#takes(char)) return;
    const found = this.#text[this.#at];
    this.#refuse(`its header has ${found ? quoted(found) : "an end"} at character ${this.#at}, where ${char} is due.`);
  }

  #skipSpaces(): void {
    while (this.#at < this.#text.length && " \t\n\r".includes(this.#text[this.#at]!)) this.#at++;
  }
}

/**
 * Where the data section and, in it, tensors of a suitable size begin: a multiple of this, so that they can be mapped.
 */
const alignment = 64;

export interface Layout {
  /** The beginning of the file: the length of the header, and the header. */
  readonly head: Uint8Array;
  /** The tensors in the order in which their bytes follow, without gaps. */
  readonly order: readonly string[];
  readonly totalBytes: number;
}

/**
 * Lays out a file: tensors whose size is a multiple of 64 first, so that all of these begin at one; then the widest
 * numbers.
 */
export function layOut(tensors: ReadonlyMap<string, TensorEntry>, metadata: Readonly<Record<string, string>>): Layout {
  const sized = [...tensors].map(([name, entry]) => ({ name, entry, size: byteLength(entry) }));
  const isAligned = ({ size }: { size: number }) => size % alignment === 0;
  const rest = sized.filter((tensor) => !isAligned(tensor));
  rest.sort((a, b) => bytesOf[b.entry.dtype] - bytesOf[a.entry.dtype]);
  const placed = [...sized.filter(isAligned), ...rest];

  let position = 0;
  const fields = placed.map(({ name, entry: { dtype, shape }, size }) => {
    const data_offsets = [position, position + size];
    position += size;
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets })}`;
  });
  if (Object.keys(metadata).length > 0) fields.unshift(`"__metadata__":${JSON.stringify(metadata)}`);
  const json = new TextEncoder().encode(`{${fields.join(",")}}`);

  const headBytes = Math.ceil((lengthBytes + json.length) / alignment) * alignment;
  const head = new Uint8Array(headBytes).fill(0x20);
  head.set(json, lengthBytes);
  new DataView(head.buffer).setBigUint64(0, BigInt(headBytes - lengthBytes), true);
  return { head, order: placed.map(({ name }) => name), totalBytes: headBytes + position };
}
