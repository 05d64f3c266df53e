/** What is found of labels: of each alone, and of all counted together. */
export interface Found {
  /** The share of what was found that is there; NaN where nothing was found. */
  precision: number;
  /** The share of what is there that was found; NaN where nothing is there. */
  recall: number;
  /** Their harmonic mean; NaN where nothing is there and nothing was found. */
  f1: number;
}

interface Counts {
  there: number;
  found: number;
  both: number;
}

/**
 * How well labels were found: F1 over all decisions, a picture and a label each (micro average), and of each label.
 * @param pictures what is there, and what was found
 */
export function scoreLabels(pictures: Iterable<{ there: readonly string[]; found: readonly string[] }>): {
  all: Found;
  byLabel: Record<string, Found>;
} {
  const counts = new Map<string, Counts>();
  const of = (label: string) => {
    const known = counts.get(label) ?? { there: 0, found: 0, both: 0 };
    counts.set(label, known);
    return known;
  };
  for (const { there, found } of pictures) {
    for (const label of there) of(label).there++;
    for (const label of found) of(label).found++;
    for (const label of there.filter((one) => found.includes(one))) of(label).both++;
  }
  const sum = { there: 0, found: 0, both: 0 };
  for (const one of counts.values()) {
    sum.there += one.there;
    sum.found += one.found;
    sum.both += one.both;
  }
  const byLabel = Object.fromEntries([...counts].map(([label, one]) => [label, scoreOf(one)]));
  return { all: scoreOf(sum), byLabel };
}

function scoreOf({ there, found, both }: Counts): Found {
  return { precision: both / found, recall: both / there, f1: (2 * both) / (there + found) };
}
