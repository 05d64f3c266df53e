/** How a number is stored, in safetensors' words. */
export type Dtype = "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "U8" | "BOOL";

/** What a header says of a tensor. */
export interface TensorEntry {
  readonly dtype: Dtype;
  /** PyTorch's shape; [] is a single number. */
  readonly shape: readonly number[];
}

/** Bytes of a tensor: from `start` up to, not including, `end`. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Where a tensor's bytes lie in a file, and what the file was when it was opened. */
export interface TensorPlace {
  /** Absolute, and no link. */
  readonly path: string;
  readonly offset: number;
  readonly fileSize: number;
  /** When it was last modified, in milliseconds. */
  readonly modified: number;
}

/** A place that weights are read from, one tensor at a time. */
export interface WeightSource {
  /** The file or folder, for messages. */
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** The free-form texts of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  /**
   * The bytes of a tensor as they are stored, little-endian: all of them, or a range.
   *
   * @throws WeightsError where there is no such tensor, or the file is no longer as it was when it was opened.
   */
  read(name: string, range?: ByteRange): Promise<Uint8Array>;
  /** Where `read` finds a tensor, in one piece; undefined where it is in no file. */
  place?(name: string): TensorPlace | undefined;
  /** Gives back what is held open. `read` goes on working, for a model that left its weights here. */
  close(): Promise<void>;
}

/** A tensor with its numbers, as they are stored: little-endian, in PyTorch's order. */
export interface StoredTensor extends TensorEntry {
  readonly bytes: Uint8Array;
}

/** Bytes that a number takes. */
export const bytesOf: Readonly<Record<Dtype, number>> = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  U8: 1,
  BOOL: 1,
};

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(bytesOf, name);
}

/** Whether numbers of this type are weights; the others count or choose. */
export function isFloat(dtype: Dtype): boolean {
  return dtype === "F64" || dtype === "F32" || dtype === "F16" || dtype === "BF16";
}

/** Bytes that a tensor takes; not a safe integer where the shape is beyond all bounds. */
export function byteLength({ dtype, shape }: TensorEntry): number {
  let size = bytesOf[dtype];
  for (const length of shape) {
    size *= length;
    if (!Number.isSafeInteger(size)) return Number.POSITIVE_INFINITY; // a 0 that follows must not hide it
  }
  return size;
}

/** A name from a file, fit to stand in a message: quoted, on one line, no control characters, not endless. */
export function quoted(name: string): string {
  const short = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  return `"${short.replace(/[\p{C}"\\]/gu, (c) => `\\u${c.codePointAt(0)!.toString(16).padStart(4, "0")}`)}"`;
}
