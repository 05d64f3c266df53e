import { WeightsError } from "../errors.ts";
import { quoted, type WeightSource } from "./source.ts";

/** Some of the weights of a source, for a model that was saved inside a larger one. Closing it closes the source. */
export function partOf(source: WeightSource, isWanted: (name: string) => boolean): WeightSource {
  return {
    path: source.path,
    metadata: source.metadata,
    entries: new Map([...source.entries].filter(([name]) => isWanted(name))),
    read: async (name, range) => {
      if (isWanted(name)) return source.read(name, range);
      throw new WeightsError(`${source.path} has no tensor ${quoted(name)} in this part.`);
    },
    place: (name) => (isWanted(name) ? source.place?.(name) : undefined),
    close: () => source.close(),
  };
}
