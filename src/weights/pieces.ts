import { WeightsError } from "../errors.ts";
import { byteLength, quoted, type WeightSource } from "./source.ts";

const pieceBytes = 4 * 2 ** 20;

/** The bytes of a tensor in pieces of whole numbers, so that a large tensor is never held whole. */
export async function* readPieces(source: WeightSource, name: string): AsyncGenerator<Uint8Array> {
  const size = byteLength(source.entries.get(name)!);
  for (let start = 0; start < size; start += pieceBytes) {
    yield await source.read(name, { start, end: Math.min(size, start + pieceBytes) });
  }
}

export function notFinite(source: WeightSource, name: string): WeightsError {
  return new WeightsError(
    `${source.path}: tensor ${quoted(name)} has values that are infinite or not numbers. Get the file again.`,
  );
}
