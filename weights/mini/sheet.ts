// The grid of pictures in README: `npm run sheet -- [MODEL] [PICTURE.png]`. Of held-out prompts the first, with seeds in a row:
// nothing is chosen. Prints the prompts as Markdown, row by row.
import { writeFile } from "node:fs/promises";
import { encodePng, resize } from "tfjs-diffusion/image";
import { openPipeline } from "tfjs-diffusion/pipelines";
import { captionsOf, heldOutPrompts, randomScene } from "tfjs-diffusion/scenes";
import { pictureGrid } from "tfjs-diffusion/training";

const [model = "weights/mini", path = "docs/mini.png"] = process.argv.slice(2);
const [columns, rows, seed] = [8, 4, 1];
/** In the last row are mascots, which a model may be licensed to draw. */
const prompts = [
  ...heldOutPrompts(columns * (rows - 1), seed).map(({ prompt }) => prompt),
  ...mascotPrompts().slice(0, columns),
];

function mascotPrompts(): string[] {
  return Array.from({ length: 40 * columns }, (_, i) => i)
    .filter((i) => "mascot" in randomScene(seed, i).subject)
    .map((i, n) => captionsOf(randomScene(seed, i), seed, i)[n % 2]!);
}

const pipeline = await openPipeline(model);
const { images } = await pipeline.run({ prompt: prompts, seed, batchSize: columns, similarityCheck: false });
const grid = pictureGrid(images, columns);
const twice = resize(grid, { width: 2 * grid.width, height: 2 * grid.height, filter: "nearest" });
await writeFile(path, encodePng(twice));
for (let row = 0; row < rows; row++) {
  console.log(`${row + 1}. ${prompts.slice(row * columns, (row + 1) * columns).join(" · ")}`);
}
