import type { Layer } from "../layers/layer.ts";
import { parameters } from "../layers/tree.ts";
import { isComputed } from "./names.ts";
import { isFloat, quoted, type TensorEntry, type WeightSource } from "./source.ts";

/** A way in which a model and a source of weights disagree about one tensor. */
export type Difference =
  | { kind: "missing"; name: string; shape: readonly number[] }
  | { kind: "unexpected"; name: string; entry: TensorEntry }
  | { kind: "misshapen"; name: string; shape: readonly number[]; entry: TensorEntry }
  | { kind: "not weights"; name: string; entry: TensorEntry };

/** Every difference between what a model has and what a source holds, from the header alone. */
export function compareWeights(model: Layer, source: WeightSource): Difference[] {
  const differences: Difference[] = [];
  const wanted = new Set<string>();
  for (const [name, { shape }] of parameters(model)) {
    wanted.add(name);
    const entry = source.entries.get(name);
    if (!entry) differences.push({ kind: "missing", name, shape });
    else if (String(entry.shape) !== String(shape)) differences.push({ kind: "misshapen", name, shape, entry });
    else if (!isFloat(entry.dtype)) differences.push({ kind: "not weights", name, entry });
  }
  for (const [name, entry] of source.entries) {
    if (!wanted.has(name) && !isComputed(name)) differences.push({ kind: "unexpected", name, entry });
  }
  return differences;
}

/** One message about all of them. */
export function describeDifferences(model: Layer, source: WeightSource, differences: readonly Difference[]): string {
  const kinds = ["missing", "unexpected", "misshapen", "not weights"] as const;
  const counts = kinds.flatMap((kind) => {
    const count = differences.filter((difference) => difference.kind === kind).length;
    return count > 0 ? [`${count} ${kind}`] : [];
  });
  const unexpected = differences.filter((difference) => difference.kind === "unexpected");
  const lines = differences.map((difference) => `  ${describe(difference, unexpected)}`);
  return [
    `${source.path} does not fit ${model.constructor.name} as its config.json describes it: ${counts.join(", ")}. ` +
      "Take the configuration and the weights from the same model.",
    ...lines,
  ].join("\n");
}

type Unexpected = Extract<Difference, { kind: "unexpected" }>;

function describe(difference: Difference, unexpected: readonly Unexpected[]): string {
  const name = quoted(difference.name);
  switch (difference.kind) {
    case "missing": {
      const similar = mostSimilar(difference.name, difference.shape, unexpected);
      return `missing ${name} [${difference.shape}]${similar ? ` (did you mean ${quoted(similar)}?)` : ""}`;
    }
    case "unexpected":
      return `unexpected ${name} ${written(difference.entry)}`;
    case "misshapen":
      return `misshapen ${name}: the file has ${written(difference.entry)}, the model [${difference.shape}]`;
    case "not weights":
      return `not weights ${name}: the file has ${written(difference.entry)}, the model takes floating point numbers`;
  }
}

function written({ dtype, shape }: TensorEntry): string {
  return `${dtype} [${shape}]`;
}

/** An unexpected tensor of the same shape whose name shares the most at its two ends, where that is more than half. */
function mostSimilar(name: string, shape: readonly number[], unexpected: readonly Unexpected[]): string | undefined {
  let best: string | undefined;
  let bestShared = 0.5;
  for (const { name: other, entry } of unexpected) {
    if (String(entry.shape) !== String(shape)) continue;
    const shared = sharedEnds(name, other) / Math.max(name.length, other.length);
    if (shared > bestShared) [best, bestShared] = [other, shared];
  }
  return best;
}

function sharedEnds(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let start = 0;
  while (start < length && a[start] === b[start]) start++;
  let end = 0;
  while (end < length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return start + end;
}
