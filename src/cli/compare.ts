import type { Command } from "commander";
import type { Comparison, LayerError } from "../inspect/activations.ts";
import { table } from "./format.ts";
import { loadModel } from "./inspected.ts";
import { decimal, integer } from "./numbers.ts";
import { addBackendOptions, type BackendChoice, backendOptionsIn, quietOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { Progress } from "./progress.ts";

interface Options extends BackendChoice {
  component?: string;
  tolerance: number;
  limit: number;
  quiet?: boolean;
  json?: boolean;
}

export function addCompare(program: Command, signal: AbortSignal): void {
  addBackendOptions(
    program
      .command("compare")
      .description(
        "Runs a model against activations recorded in Python, and shows the error of each layer, worst first.",
      )
      .argument("<folder>", "a model's folder")
      .argument("<reference>", "a recording: a safetensors file of test/reference/recorder.py or of observe")
      .option("--component <name>", "which model of the folder (default: the one that the recording names)")
      .option("--tolerance <x>", "the largest error that passes", decimal({ min: 0 }), 1e-4)
      .option("--limit <n>", "how many layers to show, worst first; 0 shows all", integer({ min: 0 }), 20),
  )
    .addOption(quietOption())
    .option("--json", "print all errors as one JSON object")
    .addHelpText(
      "after",
      `
The error is the largest difference divided by the largest recorded magnitude. The first layer over the tolerance, in
the order in which layers return, is where to look: all that follows inherits its error.
The exit code is 1 where an error is over the tolerance. docs/observe.md shows how to record in Python.

Examples:
  tfjs-diffusion compare weights/tiny unet.safetensors
  tfjs-diffusion compare weights/tiny/unet unet.safetensors --tolerance 1e-3 --limit 0`,
    )
    .action(async (folder: string, reference: string, options: Options) => {
      const progress = new Progress({ quiet: options.quiet });
      try {
        const { name, comparison } = await compareModel(folder, reference, options, { signal, progress });
        progress.end();
        const { tolerance } = options;
        const over = comparison.layers.filter(({ error }) => error > tolerance);
        const worst = comparison.layers.toSorted((a, b) => b.error - a.error);
        if (options.json) {
          const first = over[0]?.path ?? null;
          printJson({ component: name, tolerance, firstOver: first, layers: worst, unmatched: comparison.unmatched });
        } else print(text({ name, worst, over, unmatched: comparison.unmatched }, options));
        if (over.length > 0) process.exitCode = 1;
      } finally {
        progress.end();
      }
    });
}

async function compareModel(
  folder: string,
  reference: string,
  { component, ...options }: Options,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<{ name: string; comparison: Comparison }> {
  const { InputError } = await import("../errors.ts");
  const { compareActivations } = await import("../inspect/activations.ts");
  const { openSafetensors } = await import("../weights/index.ts");
  const { backend } = options;
  const backendOptions = backendOptionsIn(options);
  const recording = await openSafetensors(reference);
  try {
    const wanted = component ?? recording.metadata.component;
    const { name, runnable } = await loadModel(folder, {
      component: wanted,
      backend,
      backendOptions,
      signal,
      progress,
    });
    const total = [...recording.entries.keys()].filter((key) => key.startsWith("output")).length;
    const onProgress = (done: number): void => progress.update(`running ${name}`, done, total);
    const comparison = await compareActivations(runnable, recording, { signal, onProgress });
    if (comparison.layers.length === 0) {
      throw new InputError(`${reference} holds no output of a layer that ${name} has, so nothing can be compared.`);
    }
    return { name, comparison };
  } finally {
    await recording.close();
  }
}

interface Findings {
  name: string;
  worst: readonly LayerError[];
  /** In the order in which layers return. */
  over: readonly LayerError[];
  unmatched: readonly string[];
}

function text({ name, worst, over, unmatched }: Findings, { tolerance, limit }: Options): string {
  const shown = limit === 0 ? worst : worst.slice(0, limit);
  const rows = shown.map(({ path, error, difference }) => [pathName(path), number(error), number(difference)]);
  const others = worst.length > shown.length ? [`… and ${worst.length - shown.length} more, none of them worse`] : [];
  const first = over[0];
  const verdict = first
    ? `${over.length} of ${worst.length} layers of ${name} are over ${tolerance}. ` +
      `The first to return is ${pathName(first.path)} (${number(first.error)}).`
    : `All ${worst.length} layers of ${name} are within ${tolerance}.`;
  const ignored =
    unmatched.length > 0 ? [`${unmatched.length} recorded outputs are of modules that have no layer here.`] : [];
  return [
    ...table([["layer", "error", "largest difference"], ...rows], ["left", "right", "right"]),
    ...others,
    "",
    verdict,
    ...ignored,
  ].join("\n");
}

function pathName(path: string): string {
  return path || "(the model itself)";
}

function number(value: number): string {
  return value === 0 ? "0" : Number.isFinite(value) ? value.toExponential(1) : "not finite";
}
