import type { Picture } from "../image/index.ts";

/** A picture to learn from, of the size that was asked for. */
export interface Example {
  picture: Picture;
  /** Equal for equal pictures, so that what is computed of one may be kept. Absent where a picture is a new one each time. */
  key?: string | undefined;
  /** What it shows, in one language each. */
  captions: readonly string[];
  /** The characters that it shows, by name. */
  labels: readonly string[];
  /** Its size before it was scaled, in pixels: SDXL's micro-conditioning (Podell et al. 2023, section 2.2). */
  original: readonly [width: number, height: number];
  /** Where the crop begins in the scaled picture, in pixels. */
  crop: readonly [top: number, left: number];
}

/** Pictures to learn from, by number. */
export interface Dataset {
  readonly length: number;
  /** Pixels, as stored: what buckets are chosen by. */
  sizeOf(index: number): readonly [width: number, height: number];
  /** The picture, scaled to cover width × height and cropped to it. @throws InputError where it can't be read */
  read(index: number, width: number, height: number): Promise<Example>;
}
