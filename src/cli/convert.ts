import { type Command, Option } from "commander";
import type { ConversionReport, StorageChoice } from "../weights/index.ts";
import { bytes, grouped } from "./format.ts";
import { quietOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { Progress } from "./progress.ts";

interface Options {
  dtype: StorageChoice;
  quiet?: boolean;
  json?: boolean;
}

export function addConvert(program: Command, signal: AbortSignal): void {
  program
    .command("convert")
    .description("Copies a diffusers model's folder into one whose weights are merged, named, ordered and checked.")
    .argument("<source>", "the folder of the model, with its model_index.json")
    .argument("<dest>", "the folder to make")
    .addOption(
      new Option(
        "--dtype <type>",
        "how weights are stored: float16 takes half the space of float32, keep changes nothing",
      )
        .choices(["float32", "float16", "keep"])
        .default("keep"),
    )
    .addOption(quietOption())
    .option("--json", "print the report as one JSON object")
    .addHelpText(
      "after",
      `
A model runs from its original folder too. What converting does: old and foreign names become the usual ones, shards
one file, data are aligned, and every tensor is read again and compared. The source is not changed.
It goes on where it was stopped, by Ctrl-C or a power cut: give the same command again.

Examples:
  tfjs-diffusion convert downloads/mitsua-likes models/mitsua-likes
  tfjs-diffusion convert downloads/mitsua-likes models/mitsua-likes-half --dtype float16`,
    )
    .action(async (source: string, dest: string, { dtype, quiet, json }: Options) => {
      const { convertFolder } = await import("../weights/index.ts");
      const progress = new Progress({ quiet });
      try {
        const report = await convertFolder(source, dest, {
          dtype,
          signal,
          onProgress: ({ done, total }) => progress.update("converting", done, total),
        });
        progress.end();
        if (json) printJson(report);
        else print(text(report, dest));
      } finally {
        progress.end();
      }
    });
}

function text({ files, leftOut, dtype }: ConversionReport, dest: string): string {
  const tensors = files.reduce((sum, file) => sum + (file.tensors?.length ?? 0), 0);
  const size = files.reduce((sum, file) => sum + file.bytes, 0);
  const lines = files
    .filter((file) => file.tensors)
    .map((file) => `  ${file.path}: ${grouped(file.tensors!.length)} tensors, ${bytes(file.bytes)}`);
  const others = leftOut.length > 0 ? [`Left out, as they have no part in it: ${leftOut.join(", ")}.`] : [];
  return [
    `${dest}: ${files.length} files, ${grouped(tensors)} tensors, ${bytes(size)}, dtype ${dtype}, all read again and right.`,
    ...lines,
    ...others,
    `${dest}/conversion.json has the shape, dtype and sha256 of everything.`,
  ].join("\n");
}
