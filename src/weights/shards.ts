import { basename, dirname, join } from "node:path";
import { WeightsError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { asWeightsError, openSafetensors } from "./safetensors.ts";
import { quoted, type TensorEntry, type WeightSource } from "./source.ts";

/**
 * Opens weights in several files by their index, `*.safetensors.index.json`: which tensor is in which file beside it.
 *
 * @throws WeightsError where the index or a file is missing or wrong, or they disagree.
 */
export async function openShards(indexPath: string): Promise<WeightSource> {
  const weightMap = await readWeightMap(indexPath);
  const shards = new Map<string, WeightSource>();
  const close = async () => void (await Promise.all([...shards.values()].map((shard) => shard.close())));
  try {
    for (const file of new Set(weightMap.values())) {
      shards.set(file, await openSafetensors(join(dirname(indexPath), file)));
    }
    const entries = entriesOf(indexPath, weightMap, shards);
    return {
      path: indexPath,
      entries,
      metadata: [...shards.values()][0]?.metadata ?? {},
      read: async (name, range) => {
        const file = weightMap.get(name);
        if (file === undefined) throw new WeightsError(`${indexPath} has no tensor ${quoted(name)}.`);
        return shards.get(file)!.read(name, range);
      },
      place: (name) => shards.get(weightMap.get(name) ?? "")?.place?.(name),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Names of tensors and of the files that hold them. */
export async function readWeightMap(indexPath: string): Promise<Map<string, string>> {
  const index = await asWeightsError(readJsonFile(indexPath));
  const weightMap = isObject(index) ? index.weight_map : undefined;
  if (!isObject(weightMap)) throw new WeightsError(`${indexPath} has no weight_map, which says where each tensor is.`);
  return new Map(
    Object.entries(weightMap).map(([name, file]) => {
      if (typeof file === "string" && isPlainName(file) && file.endsWith(".safetensors")) return [name, file];
      const where = typeof file === "string" ? quoted(file) : "something that is no name";
      throw new WeightsError(
        `${indexPath} puts tensor ${quoted(name)} into ${where}, not a .safetensors file beside it.`,
      );
    }),
  );
}

/** Whether a name can stand for nothing but a file or folder directly inside another. */
export function isPlainName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !/[/\\:\p{Cc}]/u.test(name) && basename(name) === name;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function entriesOf(
  indexPath: string,
  weightMap: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, WeightSource>,
): Map<string, TensorEntry> {
  for (const [file, shard] of shards) {
    for (const name of shard.entries.keys()) {
      if (weightMap.get(name) === file) continue;
      throw new WeightsError(`${shard.path} has tensor ${quoted(name)}, which ${indexPath} does not put there.`);
    }
  }
  const entries = new Map<string, TensorEntry>();
  for (const [name, file] of weightMap) {
    const shard = shards.get(file)!;
    const entry = shard.entries.get(name);
    if (!entry) throw new WeightsError(`${shard.path} lacks tensor ${quoted(name)}, which ${indexPath} puts there.`);
    entries.set(name, entry);
  }
  return entries;
}
