import { type Align, bytes, table } from "../src/cli/format.ts";
import type { Measured } from "./contest.ts";
import { inputOf, type Task, titles } from "./tasks.ts";

export interface Outcome {
  task: Task;
  measured: Measured[];
}

export const peerName = "PyTorch";

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
  ["peak memory", "right"],
  ["difference", "right"],
];

const legend = [
  "start: from the start of the process until the model is loaded; load: reading the weights, of that; first: the first run;",
  "run: the median of the runs after it; × PyTorch: that median divided by PyTorch's, so less than 1 is faster than PyTorch;",
  "peak memory: the most resident memory of the process; difference: the largest to PyTorch's result, divided by its largest.",
  "A whole picture's weights are read in its first run. Where the first run took all the time there is, it is the only one.",
];

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function rowsOf({ task, measured }: Outcome): string[][] {
  const peer = measured.find(({ name, runs }) => name === peerName && runs.length > 0);
  return measured.map((one) => {
    const named = [titles[task.what], task.size, inputOf(task), one.name];
    if (one.refused !== undefined) return [...named, ...Array<string>(9).fill("–"), "see below"];
    const run = median(one.runs);
    return [
      ...named,
      ...[one.start!, one.load!, one.first!, run].map(seconds),
      `${seconds(Math.min(...one.runs))} … ${seconds(Math.max(...one.runs))}`,
      String(one.runs.length),
      one.flops ? (one.flops / run / 1e9).toPrecision(3) : "",
      peer && peer !== one ? (run / median(peer.runs)).toPrecision(3) : "",
      bytes(one.peakBytes!),
      one.difference?.toExponential(1) ?? "",
    ];
  });
}

function seconds(value: number): string {
  return value < 0.1 ? value.toFixed(4) : value < 10 ? value.toFixed(2) : value.toFixed(1);
}

function refusals(outcomes: readonly Outcome[]): string[] {
  return outcomes.flatMap(({ task, measured }) =>
    measured
      .filter(({ refused }) => refused !== undefined)
      .map(({ name, refused }) => `${titles[task.what]}, ${task.size}, on ${name}: ${refused}`),
  );
}

export function asText(outcomes: readonly Outcome[]): string {
  const rows = [columns.map(([title]) => title), ...outcomes.flatMap(rowsOf)];
  const lines = table(
    rows,
    columns.map(([, align]) => align),
  );
  return [...lines, "", ...refusals(outcomes), "", ...legend].join("\n");
}

export function asMarkdown(outcomes: readonly Outcome[], facts: readonly (readonly [string, string])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    "# What was measured",
    "",
    "Made by `npm run bench` (see README.md here). Never edited by hand.",
    "",
    ...facts.map(([name, value]) => `- ${name}: ${value}`),
    "",
    row(columns.map(([title]) => title)),
    row(columns.map(([, align]) => (align === "right" ? "---:" : "---"))),
    ...outcomes.flatMap(rowsOf).map(row),
    "",
    ...refusals(outcomes).map((line) => `- ${line}`),
    "",
    legend.join(" "),
    "",
  ].join("\n");
}
