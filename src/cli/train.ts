import type { Command } from "commander";
import type { LogEntry } from "../training/log.ts";
import { duration, grouped } from "./format.ts";
import { addBackendOptions, type BackendChoice, backendOptionsIn, quietOption } from "./options.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";

interface Options extends BackendChoice {
  output?: string;
  quiet?: boolean;
}

export function addTrain(program: Command, signal: AbortSignal): void {
  const command = program
    .command("train")
    .description("Trains a model by a configuration file, from where it stopped if it was begun before.")
    .argument("<config>", "the JSON file: docs/training.md has its fields")
    .option("--output <folder>", "where everything is written, instead of the file's")
    .addOption(quietOption());
  addBackendOptions(command)
    .addHelpText(
      "after",
      `
The folder gets checkpoints, of which the last two and that of each stage's end stay, log.jsonl with every step's loss,
loss.png, samples/ with pictures, and a folder of each trained model. Ctrl-C writes a checkpoint and stops. The same command
goes on from the last one, to the same losses as if nothing had been.

Examples:
  tfjs-diffusion train weights/mini/training/vae.json
  tfjs-diffusion train weights/mini/training/unet.json --backend tensorflow --output out/unet`,
    )
    .action((config: string, options: Options) => train(config, options, signal));
}

async function train(path: string, { output, quiet, ...choice }: Options, signal: AbortSignal): Promise<void> {
  const { useBackend } = await import("../backends/index.ts");
  const { openTraining } = await import("../training/open.ts");
  const { train: run } = await import("../training/run.ts");
  const { totalSteps } = await import("../training/config.ts");
  const progress = new Progress({ quiet });
  const started = performance.now();
  try {
    await useBackend(choice.backend, backendOptionsIn(choice));
    const { config, task, data } = await openTraining(path, { output });
    const { length } = config.stages;
    const steps = `${grouped(totalSteps(config))} steps in ${length} ${length === 1 ? "stage" : "stages"}`;
    progress.say(`${config.task}: ${grouped(data.training.length)} pictures, ${steps}, to ${config.output}`);
    const show = await lineOfSteps(progress, length);
    await run(config, task, data, {
      signal,
      onStep: show,
      onSamples: ({ step, samples }) => progress.say(`samples of step ${step}: ${figures(samples)}`),
      onNote: (text) => progress.say(text),
    });
    progress.end();
    print(
      `${config.output}: trained in ${duration(performance.now() - started)}, the losses are in ${config.output}/loss.png.`,
    );
  } finally {
    progress.end();
  }
}

/** Shows each step in one line. */
async function lineOfSteps(progress: Progress, stages: number): Promise<(entry: LogEntry, total: number) => void> {
  const { MovingAverage } = await import("../training/smoothed.ts");
  const [losses, times] = [new MovingAverage(), new MovingAverage()];
  return ({ step, stage, loss, seconds }, total) => {
    const pace = 1 / times.add(seconds);
    const note = `loss ${losses.add(loss).toPrecision(4)}, ${pace.toPrecision(3)} steps/s`;
    progress.update(`training, stage ${stage}/${stages}`, step, total, note);
  };
}

function figures(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${value.toPrecision(4)}`)
    .join(", ");
}
