import { WeightsError } from "../errors.ts";

/** What a SentencePiece model file says, as far as it is needed beside the library that runs it. */
export interface SentencePieceModel {
  /** The model as the library gets it: without the self-tests that it may hold, which print. */
  serialized: Uint8Array;
  /** Every piece's id by its text. */
  ids: ReadonlyMap<string, number>;
  /** The pieces, by id. */
  pieces: readonly string[];
  unknownId: number;
  /** The pieces `<0x00>` to `<0xFF>` that stand for single bytes, to the byte. */
  byteValues: ReadonlyMap<string, number>;
}

const selfTests = 4;
const pieceTypes = { unknown: 2, byte: 6, last: 6 };
// Far above what is in use (256,000 pieces; names of a few dozen bytes), and low enough that a search stays short.
const mostPieces = 1_000_000;
const longestPiece = 1024;
const longestReplacement = 1024;

/**
 * Reads the pieces of a serialized `ModelProto` (sentencepiece_model.proto), and refuses what the library would crash on,
 * print about, or take endless memory for. `where` is the file's path.
 */
export function parseSentencePieceModel(bytes: Uint8Array, where: string): SentencePieceModel {
  const damaged = (what: string) => damagedModel(where, what);
  const pieces: string[] = [];
  const ids = new Map<string, number>();
  const byteValues = new Map<string, number>();
  const unknown: number[] = [];
  const kept = new Uint8Array(bytes.length);
  let size = 0;
  for (const field of fields(bytes, damaged)) {
    if (field.number !== selfTests) {
      kept.set(field.whole, size);
      size += field.whole.length;
    }
    if (field.number === 1) addPiece(asMessage(field));
    if (field.number === 3) checkNormalizer(asMessage(field));
  }
  if (pieces.length === 0) throw damaged("it has no pieces");
  if (unknown.length !== 1) throw damaged(`it has ${unknown.length} unknown pieces instead of one`);
  return { pieces, ids, unknownId: unknown[0]!, byteValues, serialized: kept.subarray(0, size) };

  function asMessage(field: Field): Uint8Array {
    if (!field.bytes) throw damaged(`field ${field.number} has the wrong type`);
    return field.bytes;
  }

  function addPiece(message: Uint8Array): void {
    const id = pieces.length;
    let text = "";
    let type = 1;
    for (const field of fields(message, damaged)) {
      if (field.number === 1) text = decodeUtf8(asMessage(field));
      if (field.number === 2 && !Number.isFinite(field.float))
        throw damaged(`the score of piece ${id} is not a number`);
      if (field.number === 3) type = field.integer ?? 0;
    }
    if (text === "" || text.includes("\0")) throw damaged(`piece ${id} has no text`);
    if (ids.has(text)) throw damaged(`piece ${id} is there twice`);
    if (!(type >= 1 && type <= pieceTypes.last)) throw damaged(`piece ${id} is of an unknown type`);
    if (id >= mostPieces) throw damaged(`it has more than ${mostPieces} pieces`);
    pieces.push(text);
    ids.set(text, id);
    if (type === pieceTypes.unknown) unknown.push(id);
    if (type === pieceTypes.byte) byteValues.set(text, byteValue(text));
  }

  function byteValue(text: string): number {
    const digits = /^<0x([0-9A-F]{2})>$/.exec(text)?.[1];
    if (!digits) throw damaged(`the byte piece ${JSON.stringify(text.slice(0, 40))} names no byte`);
    return Number.parseInt(digits, 16);
  }

  function decodeUtf8(text: Uint8Array): string {
    if (text.length > longestPiece) throw damaged(`a piece is ${text.length} bytes long`);
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(text);
    } catch {
      throw damaged(`piece ${pieces.length} is not UTF-8`);
    }
  }

  function checkNormalizer(message: Uint8Array): void {
    for (const field of fields(message, damaged)) {
      if (field.number === 2 && asMessage(field).length > 0) checkCharacterMap(asMessage(field));
    }
  }

  /**
   * The map from characters to their normal form: the size of a trie, the trie (Darts' double array of 32-bit units), and
   * the replacements, each ended by a zero byte. The library follows its offsets without looking.
   */
  function checkCharacterMap(map: Uint8Array): void {
    const view = new DataView(map.buffer, map.byteOffset, map.byteLength);
    const trieBytes = map.length >= 4 ? view.getUint32(0, true) : 0;
    if (trieBytes === 0 || trieBytes % 1024 !== 0 || 4 + trieBytes >= map.length) {
      throw damaged("its character map does not fit its size");
    }
    const replacements = map.subarray(4 + trieBytes);
    const units = trieBytes / 4;
    for (let i = 0; i < units; i++) {
      const unit = view.getUint32(4 + 4 * i, true);
      const isLeaf = unit >>> 31 === 1;
      const offset = (unit >>> 10) << ((unit & 0x200) >>> 6);
      if (isLeaf ? (unit & 0x7fffffff) >= replacements.length : (i ^ offset) >>> 0 >= units) {
        throw damaged("its character map points outside of itself");
      }
    }
    for (let start = 0; start < replacements.length; ) {
      const end = replacements.indexOf(0, start);
      if (end < 0 || end - start > longestReplacement) throw damaged("a replacement in its character map has no end");
      start = end + 1;
    }
  }
}

export function damagedModel(where: string, what: string, cause?: unknown): WeightsError {
  const message = `${where} is not a usable SentencePiece model: ${what}. Copy the file again from where it came from.`;
  return new WeightsError(message, { cause });
}

interface Field {
  number: number;
  /** With its number and type. */
  whole: Uint8Array;
  /** Of a varint, 0 where it does not fit 53 bits. */
  integer?: number;
  float?: number;
  /** Of a string or a message. */
  bytes?: Uint8Array;
}

/** The fields of one protobuf message, none of them reaching past its end. Takes no memory: `bytes` are views. */
function* fields(message: Uint8Array, damaged: (what: string) => Error): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    const start = at;
    const tag = varint();
    const number = Math.floor(tag / 8);
    if (number < 1 || number >= 2 ** 29) throw damaged("it holds a field without a number");
    const value = readValue(tag % 8);
    yield { number, whole: message.subarray(start, at), ...value };
  }

  function readValue(type: number): Pick<Field, "integer" | "float" | "bytes"> {
    if (type === 0) return { integer: varint() };
    if (type === 2) return { bytes: take(varint()) };
    if (type !== 1 && type !== 5) throw damaged("it is no protobuf message");
    const bytes = take(type === 1 ? 8 : 4);
    return type === 1 ? {} : { float: new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0, true) };
  }

  function take(length: number): Uint8Array {
    if (length > message.length - at) throw damaged("it ends too early");
    at += length;
    return message.subarray(at - length, at);
  }

  /** Negative ones have ten bytes and are far above 2⁵³ here; nothing that is looked at is negative. */
  function varint(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = take(1)[0]!;
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    throw damaged("it is no protobuf message");
  }
}
