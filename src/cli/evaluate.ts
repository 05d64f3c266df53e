import type { Command } from "commander";
import type { FolderEvaluation, StatisticsDistance } from "../evaluation/index.ts";
import { duration, grouped, table } from "./format.ts";
import { addBackendOptions, type BackendChoice, backendOptionsIn, quietOption } from "./options.ts";
import { print, printJson } from "./print.ts";
import { Progress } from "./progress.ts";

interface Options extends BackendChoice {
  against?: string;
  model?: string;
  prompts?: string;
  quiet?: boolean;
  json?: boolean;
}

interface Evaluation {
  pictures: FolderEvaluation;
  against?: FolderEvaluation;
  fid?: number;
  distance?: StatisticsDistance;
  notes: string[];
}

export function addEvaluate(program: Command, signal: AbortSignal): void {
  addBackendOptions(
    program
      .command("evaluate")
      .description("Tells how well pictures fit their prompts, and how near they are to others.")
      .argument("<pictures>", "a folder of PNG files")
      .option("--against <folder>", "other PNG files, to which the distance is told")
      .option("--model <folder>", "a model with an image tower, or a CLIP: for CLIP score and FID")
      .option("--prompts <file>", "a prompt a line, in the order of the pictures' names"),
  )
    .addOption(quietOption())
    .option("--json", "print all numbers as one JSON object")
    .addHelpText(
      "after",
      `
Without --model only colours and wavelets are compared. Prompts come from --prompts, else from the folder's
captions.jsonl, else from what "generate" wrote into each PNG file.
FIDs and CLIP scores are of the network that is given: compare only those of the same one, and FIDs only of about as
many pictures. docs/evaluation.md says how each number is defined.

Examples:
  tfjs-diffusion evaluate drawn --model weights/mini
  tfjs-diffusion evaluate drawn --against scenes --model weights/mini --json
  tfjs-diffusion evaluate drawn --against scenes`,
    )
    .action(async (folder: string, options: Options) => {
      const progress = new Progress({ quiet: options.quiet });
      const started = performance.now();
      try {
        const evaluation = await evaluate(folder, options, { signal, progress });
        progress.end();
        if (options.json) printJson(report(folder, evaluation, options));
        else print(text(evaluation, performance.now() - started));
      } finally {
        progress.end();
      }
    });
}

async function evaluate(
  path: string,
  options: Options,
  { signal, progress }: { signal: AbortSignal; progress: Progress },
): Promise<Evaluation> {
  const { evaluateFolder } = await import("../evaluation/index.ts");
  const { folder, other, encoders, notes } = await open(path, options);
  const onProgress = ({ task, done, total }: { task: string; done: number; total: number }) =>
    progress.update(task, done, total);
  const pictures = await evaluateFolder(folder, { ...encoders, signal, onProgress });
  const { pictureEncoder } = encoders;
  const against = other && (await evaluateFolder(other, { pictureEncoder, signal, onProgress }));
  const compared = against && (await compare(pictures, against));
  return { ...compared, pictures, notes: [...notes, ...(compared?.notes ?? [])] };
}

/** All that can be wrong of what was given shows here, before the work. */
async function open(path: string, { against, model, prompts, backend, ...choice }: Options) {
  const { InputError } = await import("../errors.ts");
  const { useBackend } = await import("../backends/choose.ts");
  const { openCaptionEncoder, openPictureEncoder, PictureFolder } = await import("../evaluation/index.ts");
  const folder = await PictureFolder.open(path, { prompts });
  const other = against === undefined ? undefined : await PictureFolder.open(against);
  if (model === undefined) {
    if (prompts === undefined) return { folder, other, encoders: {}, notes: [] };
    throw new InputError("To compare pictures with prompts, a CLIP is needed: give --model.");
  }
  for (const { path, files } of other ? [folder, other] : []) {
    if (files.length < 2) throw new InputError(`${path} has 1 picture; a FID needs at least 2 in each folder.`);
  }
  const hasCaptions = await folder.hasCaptions();
  const pictureEncoder = await openPictureEncoder(model);
  const captionEncoder = hasCaptions ? await openCaptionEncoder(model) : undefined;
  await useBackend(backend, backendOptionsIn({ backend, ...choice }));
  const notes = hasCaptions ? [] : [`${path} has no prompts, so there is no CLIP score: give --prompts.`];
  return { folder, other, encoders: { pictureEncoder, captionEncoder }, notes };
}

async function compare(pictures: FolderEvaluation, against: FolderEvaluation): Promise<Omit<Evaluation, "pictures">> {
  const { InputError } = await import("../errors.ts");
  const { frechetDistance, statisticsDistance } = await import("../evaluation/index.ts");
  const [ours, theirs] = [pictures.features, against.features];
  const fid = ours && theirs && { fid: frechetDistance(ours, theirs) };
  const [sizes, others] = [sizesOf(pictures), sizesOf(against)];
  if (sizes === others)
    return { against, ...fid, distance: statisticsDistance(pictures.pixels, against.pixels), notes: [] };
  const differ = `The sizes of the pictures differ (${sizes} and ${others})`;
  if (fid) return { against, ...fid, notes: [`${differ}, so colours and wavelets are not compared.`] };
  throw new InputError(`${differ}, so their wavelets can't be compared: bring them to one size.`);
}

function sizesOf({ sizes }: FolderEvaluation): string {
  return Object.keys(sizes).sort().join(", ");
}

/** What `--json` prints. */
function report(path: string, { pictures, against, fid, distance, notes }: Evaluation, options: Options): object {
  const { clipScore, features } = pictures;
  return {
    pictures: { folder: path, ...described(pictures) },
    ...(against && { against: { folder: options.against, ...described(against) } }),
    ...(options.model !== undefined && { model: options.model }),
    ...(clipScore && { clipScore }),
    ...(fid !== undefined && { fid, featureDimensions: features!.mean.length }),
    ...(distance && { distance }),
    notes,
  };
}

function described({ count, sizes, pixels: { mean, std, wavelet } }: FolderEvaluation): object {
  return { count, sizes, mean, std, wavelet };
}

function text({ pictures, against, fid, distance, notes }: Evaluation, elapsed: number): string {
  const { clipScore, features } = pictures;
  const rows: string[][] = [["pictures", `${grouped(pictures.count)} of ${sizesOf(pictures)}`]];
  if (against) rows.push(["against", `${grouped(against.count)} of ${sizesOf(against)}`]);
  if (clipScore) {
    const of = Object.keys(clipScore.each).length;
    rows.push(["CLIP score", `${clipScore.mean.toFixed(3)}, the mean of ${grouped(of)} pictures`]);
  }
  if (fid !== undefined) rows.push(["FID", `${significant(fid)}, of ${features!.mean.length} features`]);
  if (distance) {
    rows.push(["mean colour", `${significant(distance.mean)} apart (0 to 1)`]);
    rows.push(["contrast", `${significant(distance.std)} apart`]);
    rows.push(["wavelets", `${significant(distance.wavelet)} dB apart`]);
  } else if (!against) {
    rows.push([
      "mean colour",
      `${pictures.pixels.mean.map((value) => value.toFixed(3)).join(", ")} (red, green, blue)`,
    ]);
    rows.push(["contrast", pictures.pixels.std.map((value) => value.toFixed(3)).join(", ")]);
  }
  const few = fid !== undefined && Math.min(pictures.count, against!.count) <= features!.mean.length;
  return [
    ...table(rows, ["left", "left"]),
    ...(few ? ["note: there are fewer pictures than features, so the FID is far too high: take more."] : []),
    ...notes.map((note) => `note: ${note}`),
    `Took ${duration(elapsed)}.`,
  ].join("\n");
}

function significant(value: number): string {
  return value.toPrecision(4);
}
