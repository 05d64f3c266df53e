import { type Align, bytes, table } from "../src/cli/format.ts";
import type { Measured } from "./contest.ts";
import { inputOf, type PeerKind, type Task, titles } from "./tasks.ts";

export interface Outcome {
  task: Task;
  measured: Measured[];
}

export const peerNames: Readonly<Record<PeerKind, string>> = {
  plain: "PyTorch",
  channels_last: "PyTorch, channels_last",
  compile: "PyTorch, compiled",
  bf16: "PyTorch, bfloat16",
};

const columns: readonly (readonly [title: string, align: Align])[] = [
  ["what", "left"],
  ["size", "left"],
  ["input", "left"],
  ["on", "left"],
  ["start s", "right"],
  ["load s", "right"],
  ["first s", "right"],
  ["run s", "right"],
  ["from … to", "right"],
  ["runs", "right"],
  ["GFLOP/s", "right"],
  ["× PyTorch", "right"],
  ["abort s", "right"],
  ["peak memory", "right"],
  ["× weights", "right"],
  ["difference", "right"],
];

/** Of the pictures, what their steps tell. */
const stepColumns: typeof columns = [
  ["size", "left"],
  ["input", "left"],
  ["on", "left"],
  ["first step, above a plain one s", "right"],
  ["the same in a second picture s", "right"],
  ["plain step s", "right"],
  ["after the last step s", "right"],
  ["whole picture s", "right"],
  ["× PyTorch", "right"],
  ["peak memory", "right"],
];

const stepLegend = [
  "first step: from the call of `generate` to the end of its first step, with all that is read and made for it, less the time of a",
  "plain step (the median of the others); after the last step: decoding and the check of the picture.",
];

const legend = [
  "start: from the start of the process until the model is loaded; load: reading the weights, of that; first: the first run;",
  "run: the median of the runs after it; × PyTorch: that median divided by PyTorch's best in float32, so less than 1 is faster;",
  "compiled: by torch.compile, with channels_last, whose compiling stands under load; bfloat16: another arithmetic, for comparison;",
  "abort: from the abort in the middle of a run until the backend would begin with something else;",
  "peak memory: the most resident memory of the process, over all runs, pages of files among it; × weights: that divided by the bytes of",
  "the model's weights in float32; difference: the largest to PyTorch's plain result, divided by its largest.",
  "A whole picture's weights are read in its first run. Where the first run took all the time there is, it is the only one.",
];

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The peer's time that ours is compared with: the best of what it does in the same arithmetic. */
function bestOf(measured: readonly Measured[]): Measured | undefined {
  const exact = [peerNames.plain, peerNames.channels_last, peerNames.compile];
  const peers = measured.filter(({ name, runs }) => exact.includes(name) && runs.length > 0);
  return peers.toSorted((a, b) => median(a.runs) - median(b.runs))[0];
}

function ratio(one: Measured, best: Measured | undefined): string {
  return best && best !== one ? (median(one.runs) / median(best.runs)).toPrecision(3) : "";
}

function rowsOf({ task, measured }: Outcome): string[][] {
  const best = bestOf(measured);
  return measured.map((one) => {
    const named = [titles[task.what], task.size, inputOf(task), one.name];
    if (one.refused !== undefined) return [...named, ...Array<string>(11).fill("–"), "see below"];
    const run = median(one.runs);
    return [
      ...named,
      ...[one.start!, one.load!, one.first!, run].map(seconds),
      `${seconds(Math.min(...one.runs))} … ${seconds(Math.max(...one.runs))}`,
      one.estimatedFrom ? `${one.estimatedFrom} steps` : String(one.runs.length),
      one.flops ? (one.flops / run / 1e9).toPrecision(3) : "",
      ratio(one, best),
      one.abort === undefined ? "" : seconds(one.abort),
      bytes(one.peakBytes!),
      one.weightBytes ? (one.peakBytes! / one.weightBytes).toPrecision(3) : "",
      one.difference?.toExponential(1) ?? "",
    ];
  });
}

/** What a step takes that is not the first. */
export function plainStep(ends: readonly number[]): number {
  return median(ends.slice(1).map((end, i) => end - ends[i]!));
}

function stepRowsOf({ task, measured }: Outcome): string[][] {
  const best = bestOf(measured);
  return measured
    .filter(({ steps }) => steps.length > 0)
    .map((one) => {
      const [first, second] = one.steps as [readonly number[], (readonly number[])?];
      const whole = one.first!;
      const estimated = one.estimatedFrom ? (task.request!.steps - one.estimatedFrom) * plainStep(first) : 0;
      return [
        ...[task.size, inputOf(task), one.name],
        seconds(first[0]! - plainStep(first)),
        second ? seconds(second[0]! - plainStep(second)) : "",
        seconds(plainStep(first)),
        seconds(whole - estimated - first.at(-1)!),
        one.estimatedFrom ? `${seconds(whole)}, estimated from ${one.estimatedFrom} steps` : seconds(whole),
        best && best !== one ? (whole / best.first!).toPrecision(3) : "",
        bytes(one.peakBytes!),
      ];
    });
}

function seconds(value: number): string {
  if (value < 0) return `−${seconds(-value)}`;
  return value < 0.1 ? value.toFixed(4) : value < 10 ? value.toFixed(2) : value.toFixed(1);
}

function refusals(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ task, measured }) =>
    measured
      .filter(({ refused }) => refused !== undefined)
      .map(({ name, refused }) => `${titles[task.what]}, ${task.size}, on ${name}: ${refused}`),
  );
}

/** The table of all, and that of the pictures' steps where there are pictures. */
function tablesOf(outcomes: readonly Outcome[]): { columns: typeof columns; rows: string[][]; legend: string[] }[] {
  const steps = outcomes.flatMap(stepRowsOf);
  const all = { columns, rows: outcomes.flatMap(rowsOf), legend };
  return steps.length > 0 ? [all, { columns: stepColumns, rows: steps, legend: stepLegend }] : [all];
}

export function asText(outcomes: readonly Outcome[]): string {
  const sections = tablesOf(outcomes).map(({ columns, rows, legend }) => {
    const lines = table(
      [columns.map(([title]) => title), ...rows],
      columns.map(([, align]) => align),
    );
    return [...lines, "", ...legend, ""];
  });
  return [...sections.flat(), ...refusals(outcomes)].join("\n");
}

export function asMarkdown(outcomes: readonly Outcome[], facts: readonly (readonly [string, string])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const sections = tablesOf(outcomes).map(({ columns, rows, legend }) => [
    row(columns.map(([title]) => title)),
    row(columns.map(([, align]) => (align === "right" ? "---:" : "---"))),
    ...rows.map(row),
    "",
    legend.join(" "),
    "",
  ]);
  return [
    "# What was measured",
    "",
    "Made by `npm run bench` (see README.md here). Never edited by hand.",
    "",
    ...facts.map(([name, value]) => `- ${name}: ${value}`),
    "",
    ...sections.flat(),
    ...refusals(outcomes).map((line) => `- ${line}`),
    "",
  ].join("\n");
}
