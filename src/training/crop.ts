import { type Picture, resize } from "../image/index.ts";
import type { Example } from "./dataset.ts";

export interface CropOptions {
  /** Of the result, in pixels. */
  width: number;
  height: number;
  /** Where the crop lies in what is left over, down and across: 0 at the top and the left, 1 at the bottom and the right. */
  place: readonly [down: number, across: number];
}

/** Scales a picture to cover a size, its shape kept, and crops it to that. */
export function coverAndCrop(
  picture: Picture,
  { width, height, place }: CropOptions,
): Pick<Example, "picture" | "original" | "crop"> {
  const original = [picture.width, picture.height] as const;
  const scale = Math.max(width / picture.width, height / picture.height);
  const scaled = resize(picture, {
    width: Math.max(width, Math.round(picture.width * scale)),
    height: Math.max(height, Math.round(picture.height * scale)),
    filter: "lanczos",
  });
  const crop = [
    Math.round(place[0] * (scaled.height - height)),
    Math.round(place[1] * (scaled.width - width)),
  ] as const;
  return { picture: cropped(scaled, crop, { width, height }), original, crop };
}

function cropped(
  picture: Picture,
  [top, left]: readonly [number, number],
  size: { width: number; height: number },
): Picture {
  const { width, height } = size;
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = 3 * ((top + y) * picture.width + left);
    data.set(picture.data.subarray(from, from + 3 * width), 3 * y * width);
  }
  return { width, height, data };
}
