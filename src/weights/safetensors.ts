import { open } from "node:fs/promises";
import type { TensorEntry, WeightSource } from "./source.ts";

export async function openSafetensors(path: string): Promise<WeightSource> {
  const file = await open(path);
  const read = async (start: number, length: number): Promise<Uint8Array> => {
    const bytes = new Uint8Array(length);
    await file.read(bytes, 0, length, start);
    return bytes;
  };
  const headerLength = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(new TextDecoder().decode(await read(8, headerLength)));
  return {
    path,
    metadata,
    entries: new Map(Object.entries(entries as Record<string, TensorEntry>)),
    read: (name) => {
      const [start, end] = entries[name].data_offsets;
      return read(8 + headerLength + start, end - start);
    },
    close: () => file.close(),
  };
}
