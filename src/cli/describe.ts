import type { Command } from "commander";
import { InputError } from "../errors.ts";
import type { Description } from "../inspect/describe.ts";
import type { Size } from "../inspect/runnable.ts";
import { cut, grouped, scaled, table } from "./format.ts";
import { integer } from "./numbers.ts";
import { print, printJson } from "./print.ts";

interface Options {
  depth?: number;
  width?: number;
  height?: number;
  json?: boolean;
}

export function addDescribe(program: Command): void {
  program
    .command("describe")
    .description("Shows a model's layers with the shape of what they return, their weights, and the work they are.")
    .argument("<model>", "a model's folder, or a preset: mitsua-likes, sd-1.5, sd-2.1, sdxl")
    .option("--depth <n>", "how many levels of layers to show (default: 2; all with --json)", integer({ min: 0 }))
    .option("--width <pixels>", "the picture's width that the shapes are for", integer({ min: 8, max: 65536 }))
    .option("--height <pixels>", "the picture's height that the shapes are for", integer({ min: 8, max: 65536 }))
    .option("--json", "print the tree as one JSON object")
    .addHelpText(
      "after",
      `
No weight is read and no backend is loaded: the model runs on shapes alone, so the largest takes a moment.
Shapes are in the order of TensorFlow: [batch, height, width, channels] of a map, [batch, tokens, channels] of a text.
FLOPs are floating-point operations of one run on one picture: two for each multiply-add of the convolutions and the
matrix products, the attention's among them; norms, activations and additions are not counted.
In JSON every layer has "name", "type", "parameters", "outputShape", "flops", "weights" (the shapes that a checkpoint
has) and "children"; the outermost object is the whole system, and its children are the models.

Examples:
  tfjs-diffusion describe mitsua-likes
  tfjs-diffusion describe sdxl --depth 3 --width 1216 --height 832
  tfjs-diffusion describe weights/tiny/unet --json`,
    )
    .action(async (model: string, options: Options) => {
      const { describeSystem } = await import("../inspect/describe-system.ts");
      const { openSystem } = await import("../inspect/open.ts");
      const { Autoencoder, UNet } = await import("../models/index.ts");
      const { surroundingsIn } = await import("../inspect/systems.ts");
      const system = await openSystem(model);
      const size = { width: options.width ?? system.size.width, height: options.height ?? system.size.height };
      const { pixelsPerCell } = surroundingsIn(system);
      const isOfCells = Object.values(system.models).some((one) => one instanceof UNet || one instanceof Autoencoder);
      if (isOfCells && (size.width % pixelsPerCell || size.height % pixelsPerCell)) {
        throw new InputError(
          `The picture is ${size.width} × ${size.height}; both sides must be multiples of ${pixelsPerCell}.`,
        );
      }
      const tree = describeSystem({ ...system, size });
      if (options.json) printJson({ ...toDepth(tree, options.depth ?? Number.POSITIVE_INFINITY), ...size });
      else print(text(tree, size, options.depth ?? 2));
    });
}

/** The tree without what lies deeper. */
function toDepth(layer: Description, depth: number): Description {
  return { ...layer, children: depth < 0 ? [] : layer.children.map((child) => toDepth(child, depth - 1)) };
}

const lineWidth = 100;
const typeWidth = 26;

function text(system: Description, { width, height }: Size, depth: number): string {
  const rows = system.children.flatMap((component) => rowsOf([component], 0, depth));
  const total = ["total", "", "", scaled(system.parameters), scaled(system.flops)];
  const cells = [["", "", "output", "parameters", "FLOPs"], ...rows, total].map((row) =>
    row.with(1, cut(row[1]!, typeWidth)),
  );
  const others = table(
    cells.map((row) => row.slice(1)),
    ["left", "left", "right", "right"],
  );
  const room = lineWidth - 2 - Math.max(...others.map((line) => line.length));
  const names = table(
    cells.map((row) => [cut(row[0]!, room)]),
    ["left"],
  );
  const nameWidth = Math.max(...names.map((name) => name.length));
  const lines = names.map((name, i) => `${name.padEnd(nameWidth)}  ${others[i]}`);
  return [`${system.name}, ${width} × ${height} pixels, ${grouped(system.parameters)} parameters`, "", ...lines].join(
    "\n",
  );
}

/** A line for each layer down to a depth; layers that are alike and follow each other share one, with their sums. */
function rowsOf(alike: readonly Description[], level: number, depth: number): string[][] {
  const [layer] = alike as [Description];
  const sum = (count: (one: Description) => number): number => alike.reduce((total, one) => total + count(one), 0);
  const name = "  ".repeat(level) + (alike.length > 1 ? `${layer.name} … ${last(alike.at(-1)!.name)}` : layer.name);
  const shape = layer.outputShape ? `[${layer.outputShape.join(", ")}]` : "";
  const type = alike.length > 1 ? `${alike.length} × ${layer.type}` : layer.type;
  const row = [name, type, shape, scaled(sum((one) => one.parameters)), scaled(sum((one) => one.flops))];
  if (level >= depth) return [row];
  return [row, ...groups(layer.children).flatMap((group) => rowsOf(group, level + 1, depth))];
}

/** "transformer_blocks.9" → "9" */
function last(name: string): string {
  return name.slice(name.lastIndexOf(".") + 1);
}

function groups(layers: readonly Description[]): Description[][] {
  const found: Description[][] = [];
  for (const layer of layers) {
    const group = found.at(-1);
    if (group && isAlike(group[0]!, layer)) group.push(layer);
    else found.push([layer]);
  }
  return found;
}

/** Members of one list with equal trees. */
function isAlike(a: Description, b: Description): boolean {
  const stem = (name: string): string => name.replace(/\.\d+$/, "");
  return a.name !== stem(a.name) && stem(a.name) === stem(b.name) && treeOf(a) === treeOf(b);
}

function treeOf({ type, parameters, outputShape, flops, children }: Description): string {
  return JSON.stringify([type, parameters, outputShape, flops, children.map((child) => [child.name, treeOf(child)])]);
}
