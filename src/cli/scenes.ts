import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError, Option } from "commander";
import { naming, writeFileAtomically } from "../files.ts";
import type { Picture } from "../image/index.ts";
import type { Scene } from "../scenes/index.ts";
import { grouped } from "./format.ts";
import { integer } from "./numbers.ts";
import { quietOption } from "./options.ts";
import { print } from "./print.ts";
import { Progress } from "./progress.ts";
import { checkWritable } from "./writable.ts";

type Size = readonly [width: number, height: number];

interface Options {
  count: number;
  seed: number;
  size: readonly Size[];
  heldOut?: boolean;
  grid?: string;
  quiet?: boolean;
}

const usualSizes: readonly Size[] = [[64, 64]];
const [gridColumns, gridRows] = [12, 8];

export function addScenes(program: Command, signal: AbortSignal): void {
  program
    .command("scenes")
    .description("Draws small scenes with captions in Japanese and English: a folder of pictures to train on.")
    .argument("<output>", "the folder to write; it is made where there is none")
    .addOption(new Option("--count <n>", "how many").argParser(integer({ min: 1, max: 1_000_000 })).default(200))
    .addOption(
      new Option("--seed <n>", "the same seed draws the same scenes").argParser(integer({ min: 0 })).default(0),
    )
    .addOption(
      new Option("--size <WxH...>", "width and height in pixels, several in turn")
        .argParser(sizes)
        .default(usualSizes, "64x64"),
    )
    .option("--held-out", "only combinations of object, colour and place that training never shows; captions say all")
    .option("--grid <file>", "also a PNG file with the first pictures side by side")
    .addOption(quietOption())
    .addHelpText(
      "after",
      `
OUTPUT gets 000000.png and so on; captions.jsonl has a line for each, {"file", "captions", "labels"}, as train reads it;
scenes.jsonl says what each one shows, {"file", "scene"}.

Examples:
  tfjs-diffusion scenes data/scenes --count 2000 --size 64x64 80x48 48x80
  tfjs-diffusion scenes data/unseen --held-out --count 100 --grid unseen.png`,
    )
    .action(async (output: string, options: Options) => {
      if (options.grid) await checkWritable(options.grid);
      await naming(output, mkdir(output, { recursive: true }));
      const progress = new Progress({ quiet: options.quiet });
      try {
        const pictures = await writeScenes(output, options, signal, progress);
        if (options.grid) await writeGrid(options.grid, pictures, signal);
      } finally {
        progress.end();
      }
      print(`${output}: ${grouped(options.count)} pictures, with captions.jsonl and scenes.jsonl.`);
    });
}

/** What a folder's files hold for one scene. */
interface Drawn {
  picture: Picture;
  captions: readonly string[];
  labels: readonly string[];
  scene: Scene;
}

/** Returns the first pictures, as many as a grid shows. The lists are written last: a folder that has them is whole. */
async function writeScenes(output: string, options: Options, signal: AbortSignal, progress: Progress) {
  const { encodePng } = await import("../image/index.ts");
  const draw = await drawer(options);
  const [captionLines, sceneLines, first]: [string[], string[], Picture[]] = [[], [], []];
  for (let index = 0; index < options.count; index++) {
    signal.throwIfAborted();
    const { picture, captions, labels, scene } = draw(index);
    const file = `${String(index).padStart(6, "0")}.png`;
    await writeFileAtomically(join(output, file), encodePng(picture), { signal });
    captionLines.push(`${JSON.stringify({ file, captions, labels })}\n`);
    sceneLines.push(`${JSON.stringify({ file, scene })}\n`);
    if (first.length < gridColumns * gridRows) first.push(picture);
    progress.update("drawing", index + 1, options.count);
  }
  await writeFileAtomically(join(output, "captions.jsonl"), captionLines.join(""), { signal });
  await writeFileAtomically(join(output, "scenes.jsonl"), sceneLines.join(""), { signal });
  return first;
}

async function drawer({ count, seed, size, heldOut }: Options): Promise<(index: number) => Drawn> {
  const { captionsOf, drawScene, heldOutPrompts, labelsOf, randomScene } = await import("../scenes/index.ts");
  const prompts = heldOut ? heldOutPrompts(count, seed) : [];
  return (index) => {
    const scene = prompts[index]?.scene ?? randomScene(seed, index);
    const captions = heldOut ? [prompts[index]!.prompt] : captionsOf(scene, seed, index);
    const [width, height] = size[index % size.length]!;
    return { picture: drawScene(scene, width, height), captions, labels: labelsOf(scene), scene };
  };
}

async function writeGrid(path: string, pictures: readonly Picture[], signal: AbortSignal): Promise<void> {
  const { encodePng } = await import("../image/index.ts");
  const { pictureGrid } = await import("../training/picture-grid.ts");
  await writeFileAtomically(path, encodePng(pictureGrid(pictures, gridColumns)), { signal });
}

/** One more size, in place of the usual one. */
function sizes(text: string, before: readonly Size[]): readonly Size[] {
  const match = /^(\d+)x(\d+)$/.exec(text);
  if (!match) throw new InvalidArgumentError("It must be a width and a height, as 64x64.");
  return [...(before === usualSizes ? [] : before), [Number(match[1]), Number(match[2])]];
}
