import type { Picture } from "../image/index.ts";

/** White between two pictures, and around all, in pixels. */
const gap = 2;

/** Pictures of any sizes side by side on white, in rows as long as there are rows, in the order of reading. */
export function pictureGrid(pictures: readonly Picture[], perRow = Math.ceil(Math.sqrt(pictures.length))): Picture {
  const cell = {
    width: Math.max(...pictures.map(({ width }) => width)),
    height: Math.max(...pictures.map(({ height }) => height)),
  };
  const width = perRow * (cell.width + gap) + gap;
  const height = Math.ceil(pictures.length / perRow) * (cell.height + gap) + gap;
  const data = new Uint8Array(width * height * 3).fill(255);
  for (const [i, picture] of pictures.entries()) {
    const left = gap + (i % perRow) * (cell.width + gap);
    const top = gap + Math.floor(i / perRow) * (cell.height + gap);
    for (let y = 0; y < picture.height; y++) {
      const row = picture.data.subarray(3 * y * picture.width, 3 * (y + 1) * picture.width);
      data.set(row, 3 * ((top + y) * width + left));
    }
  }
  return { width, height, data };
}
