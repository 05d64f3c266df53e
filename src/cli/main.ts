#!/usr/bin/env node
import { Command, CommanderError } from "commander";
import { InputError } from "../errors.ts";
import { addCompare } from "./compare.ts";
import { addConvert } from "./convert.ts";
import { addDescribe } from "./describe.ts";
import { addDoctor } from "./doctor.ts";
import { addEvaluate } from "./evaluate.ts";
import { harmless } from "./format.ts";
import { addGenerate } from "./generate.ts";
import { addObserve } from "./observe.ts";
import { addScenes } from "./scenes.ts";
import { addShow } from "./show.ts";
import { heedSignals, type Interrupt } from "./signals.ts";
import { addTensorflowLink } from "./tensorflow-link.ts";
import { addTrain } from "./train.ts";
import { version } from "./version.ts";

// A reader that has seen enough, as `head`, closes the pipe: that is no mistake of anybody's.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`error: standard output can't be written (${error.code}): is the disk full?\n`);
  process.exit(2);
});

const signal = heedSignals();
const program = new Command("tfjs-diffusion")
  .description("Makes pictures from text with diffusion models that are written out layer by layer on TensorFlow.js.")
  .usage("COMMAND [OPTIONS]")
  .version(version, "-V, --version", "print the version")
  .helpOption("-h, --help", "print this help; after a command, the command's")
  .helpCommand(false)
  .showHelpAfterError("(tfjs-diffusion --help lists the commands)")
  .exitOverride()
  .addHelpText(
    "after",
    `
Examples:
  tfjs-diffusion generate --prompt "夕方の海に大きな赤い船" --output boat.png
  tfjs-diffusion describe mitsua-likes --depth 2
  tfjs-diffusion doctor

Exit codes: 0 done; 1 a failure that is not yours, or a comparison over its tolerance; 2 a mistake in what was given;
130 stopped by Ctrl-C. TFJS_DIFFUSION_DEBUG=1 in the environment prints where in the code an error came from.`,
  );
for (const add of [
  addGenerate,
  addShow,
  addConvert,
  addDescribe,
  addObserve,
  addCompare,
  addScenes,
  addTrain,
  addEvaluate,
  addDoctor,
  addTensorflowLink,
]) {
  add(program, signal);
}
for (const command of program.commands) {
  command.showHelpAfterError(`(tfjs-diffusion ${command.name()} --help explains the command)`);
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Says what went wrong, in one line. Returns the exit code. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2; // commander has said it
  if (signal.aborted) {
    process.stderr.write("stopped.\n");
    return (signal.reason as Interrupt).exitCode;
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  process.stderr.write(`error: ${harmless((process.env.TFJS_DIFFUSION_DEBUG && stack) || message)}\n`);
  return error instanceof InputError ? 2 : 1;
}
