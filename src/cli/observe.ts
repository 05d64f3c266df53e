import type { Command } from "commander";
import type { Arguments } from "../inspect/activations.ts";
import { loadModel } from "./inspected.ts";
import { collect, integer } from "./numbers.ts";
import { addBackendOptions, type BackendChoice, backendOptionsIn, quietOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { Progress } from "./progress.ts";
import { checkWritable } from "./writable.ts";

interface Options extends BackendChoice {
  component?: string;
  pattern?: string[];
  output: string;
  seed?: number;
  input?: string;
  width?: number;
  height?: number;
  quiet?: boolean;
  json?: boolean;
}

export function addObserve(program: Command, signal: AbortSignal): void {
  addBackendOptions(
    program
      .command("observe")
      .description("Runs one model and writes what its layers return, by path, to a safetensors file.")
      .argument("<folder>", "a model's folder")
      .requiredOption("--output <file>", "the safetensors file to write")
      .option("--component <name>", "which model of the folder: unet, vae, text_encoder, …")
      .option("--pattern <glob>", "only layers whose path fits; may be given several times", collect)
      .option("--input <file>", "take the arguments from a recording")
      .option("--seed <n>", "draw the arguments from this seed (default: 0)", integer({ min: 0 }))
      .option(
        "--width <pixels>",
        "the picture's width that the drawn arguments are for",
        integer({ min: 8, max: 65536 }),
      )
      .option(
        "--height <pixels>",
        "the picture's height that the drawn arguments are for",
        integer({ min: 8, max: 65536 }),
      ),
  )
    .addOption(quietOption())
    .option("--json", "print what was written as one JSON object")
    .addHelpText(
      "after",
      `
A path is the layer's name in checkpoints: down_blocks.1.attentions.0. In a pattern * stands for any characters, dots
among them, and ? for one. The file is in PyTorch's layout, with the arguments beside the activations, so "compare" and
Python can read it; docs/observe.md describes it.

Examples:
  tfjs-diffusion observe weights/tiny --component unet --output unet.safetensors
  tfjs-diffusion observe weights/tiny --component unet --pattern 'mid_block.*' --pattern '*.attn2' --seed 7 --output mid.safetensors
  tfjs-diffusion observe weights/tiny --component text_encoder --input recorded.safetensors --output ours.safetensors`,
    )
    .action(async (folder: string, options: Options, command: Command) => {
      if (options.input !== undefined && options.seed !== undefined) {
        command.error("error: --seed and --input exclude each other: the arguments are drawn, or they are read");
      }
      const progress = new Progress({ quiet: options.quiet });
      try {
        await observeModel(folder, options, { signal, progress });
      } finally {
        progress.end();
      }
    });
}

async function observeModel(
  folder: string,
  options: Options,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<void> {
  const { InputError } = await import("../errors.ts");
  const { drawArguments, recordActivations, saveRecording } = await import("../inspect/activations.ts");
  const { matcher } = await import("../inspect/patterns.ts");
  const { layers } = await import("../layers/index.ts");

  const { backend, component, pattern, input } = options;
  const backendOptions = backendOptionsIn(options);
  await checkWritable(options.output);
  const { name, system, runnable } = await loadModel(folder, { component, backend, backendOptions, signal, progress });
  const wanted = matcher(pattern ?? ["*"]);
  const total = [...layers(runnable.model)].filter(([path]) => wanted(path)).length;
  if (total === 0) {
    throw new InputError(`No layer of ${name} fits ${pattern!.join(", ")}: "describe ${folder} --depth 9" lists them.`);
  }
  const size = { width: options.width ?? system.size.width, height: options.height ?? system.size.height };
  const inputs =
    input === undefined ? drawArguments(runnable.inputs(size), options.seed ?? 0) : await argumentsIn(input);

  const onProgress = (done: number): void => progress.update(`running ${name}`, done, total);
  const outputs = await recordActivations(runnable, inputs, { wanted, signal, onProgress });
  progress.end();
  await saveRecording(options.output, { component: name, inputs, outputs }, { signal });
  if (options.json) {
    const shapes = [...outputs].map(([path, { shape }]) => ({ path, shape }));
    printJson({ output: options.output, component: name, inputs: [...inputs.keys()], layers: shapes });
  } else print(`${options.output}: ${outputs.size} activations of ${name}`);
}

async function argumentsIn(path: string): Promise<Arguments> {
  const { readArguments } = await import("../inspect/activations.ts");
  const { openSafetensors } = await import("../weights/index.ts");
  const recording = await openSafetensors(path);
  try {
    return await readArguments(recording);
  } finally {
    await recording.close();
  }
}
