import { WeightsError } from "../errors.ts";
import { fromFloat32, isFiniteStored, toFloat32 } from "./dtypes.ts";
import { isComputed } from "./names.ts";
import { notFinite, readPieces } from "./pieces.ts";
import { type LazyTensor, openSafetensors, writeSafetensors } from "./safetensors.ts";
import { layOut } from "./safetensors-header.ts";
import { byteLength, type Dtype, isFloat, quoted, type TensorEntry, type WeightSource } from "./source.ts";

/** How weights are stored: all in one way, or each as it was. Whole numbers and computed buffers are always kept. */
export type StorageChoice = "float32" | "float16" | "keep";

/** A tensor of a converted file. */
export interface ConvertedTensor extends TensorEntry {
  readonly name: string;
  /** How the source stores it. */
  readonly sourceDtype: Dtype;
}

export interface PieceOptions {
  signal?: AbortSignal | undefined;
  /** Called with the bytes that were worked on since the last call. */
  onBytes: (count: number) => void;
}

/** The tensors that a file will have. */
export function plannedTensors(source: WeightSource, choice: StorageChoice): ConvertedTensor[] {
  return Array.from(source.entries, ([name, { dtype, shape }]) => {
    const isKept = choice === "keep" || !isFloat(dtype) || isComputed(name);
    return { name, shape, dtype: isKept ? dtype : choice === "float32" ? "F32" : "F16", sourceDtype: dtype };
  });
}

/** What the header says beside the tensors. `transformers` reads no file without a format. */
const metadata = { format: "pt" };

/** The size of the file that they make. */
export function plannedBytes(tensors: readonly ConvertedTensor[]): number {
  return layOut(new Map(tensors.map((tensor) => [tensor.name, tensor])), metadata).totalBytes;
}

/** Writes the tensors to a file, a piece at a time. */
export function writeConverted(
  path: string,
  source: WeightSource,
  tensors: readonly ConvertedTensor[],
  { signal, onBytes }: PieceOptions,
): Promise<void> {
  let before = 0;
  const lazy = tensors.map((tensor): LazyTensor => ({ ...tensor, pieces: () => convertedPieces(source, tensor) }));
  return writeSafetensors(path, lazy, {
    metadata,
    signal,
    onProgress: (done) => {
      onBytes(done - before);
      before = done;
    },
  });
}

/**
 * Reads a file that was written and compares all of it with the source.
 *
 * @throws WeightsError where it differs.
 */
export async function verifyConverted(
  path: string,
  source: WeightSource,
  tensors: readonly ConvertedTensor[],
  { signal, onBytes }: PieceOptions,
): Promise<void> {
  const written = await openSafetensors(path);
  try {
    if (written.entries.size !== tensors.length) throw differs(path);
    for (const tensor of tensors) {
      const { name, dtype, shape } = tensor;
      const entry = written.entries.get(name);
      if (entry?.dtype !== dtype || String(entry.shape) !== String(shape)) throw differs(path, name);
      let start = 0;
      for await (const wanted of convertedPieces(source, tensor)) {
        signal?.throwIfAborted();
        const found = await written.read(name, { start, end: start + wanted.length });
        if (Buffer.compare(found, wanted) !== 0) throw differs(path, name);
        start += wanted.length;
        onBytes(wanted.length);
      }
      if (start !== byteLength(tensor)) throw differs(path, name);
    }
    onBytes(plannedBytes(tensors) - tensors.reduce((sum, tensor) => sum + byteLength(tensor), 0)); // the header
  } finally {
    await written.close();
  }
}

async function* convertedPieces(source: WeightSource, tensor: ConvertedTensor): AsyncGenerator<Uint8Array> {
  for await (const piece of readPieces(source, tensor.name)) yield convertPiece(piece, source, tensor);
}

function convertPiece(piece: Uint8Array, source: WeightSource, tensor: ConvertedTensor): Uint8Array {
  const { name, dtype, sourceDtype } = tensor;
  if (isComputed(name) || !isFloat(sourceDtype)) return piece;
  if (!isFiniteStored(piece, sourceDtype)) throw notFinite(source, name);
  if (dtype === sourceDtype) return piece;
  const values = toFloat32(piece, sourceDtype);
  const converted = fromFloat32(values, dtype);
  if (!isFiniteStored(converted, dtype)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const what = `tensor ${quoted(name)} has a value of magnitude ${largest}, beyond the largest of ${dtype}`;
    throw new WeightsError(`${source.path}: ${what}. Convert with float32 or keep.`);
  }
  return converted;
}

function differs(path: string, name?: string): WeightsError {
  const what = name === undefined ? "it has other tensors" : `tensor ${quoted(name)} differs from its source`;
  return new WeightsError(`${path} is not what was written: ${what}. Check the disk, then convert again.`);
}
