import type { Picture } from "../image/index.ts";
import type { Shape } from "./shapes.ts";
import type { Colour } from "./vocabulary.ts";

/** Where a shape's coordinates lie in the picture: its (0, 0) at (x, y), its 1 of `scale` pixels. */
export interface Frame {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

/** How far from a shape's (0, 0) anything of it can be, in its own coordinates. */
export type Extent = readonly [left: number, top: number, right: number, bottom: number];

/** Pixels that shapes are laid on, one over the other. Red, green and blue are 0 to 255. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly data: Float32Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.data = new Float32Array(width * height * 3);
  }

  /** Takes over all pixels of another canvas of this size. */
  take({ data }: Canvas): this {
    this.data.set(data);
    return this;
  }

  /** Every row in the colour that `colourAt` gives for it. */
  rows(colourAt: (y: number) => Colour): void {
    for (let y = 0; y < this.height; y++) {
      const colour = colourAt(y + 0.5);
      for (let i = y * this.width * 3; i < (y + 1) * this.width * 3; i += 3) this.data.set(colour, i);
    }
  }

  /**
   * Lays a shape on. A pixel on its edge takes as much of its colour as the shape covers of it; the edge is `blur` pixels
   * wide. `grow` moves the edge outwards, in pixels.
   */
  fill(shape: Shape, colour: Colour | Shade, frame: Frame, extent: Extent, { blur = 1, grow = 0 } = {}): void {
    const { x, y, scale } = frame;
    const margin = grow + blur;
    const [left, right] = within(x + extent[0] * scale - margin, x + extent[2] * scale + margin, this.width);
    const [top, bottom] = within(y + extent[1] * scale - margin, y + extent[3] * scale + margin, this.height);
    for (let row = top; row < bottom; row++) {
      const v = (row + 0.5 - y) / scale;
      const [red, green, blue] = typeof colour === "function" ? colour(v) : colour;
      for (let column = left; column < right; column++) {
        const distance = shape((column + 0.5 - x) / scale, v) * scale - grow;
        if (distance >= blur / 2) continue;
        this.#mix((row * this.width + column) * 3, red, green, blue, Math.min(1, 0.5 - distance / blur));
      }
    }
  }

  picture(): Picture {
    return { width: this.width, height: this.height, data: Uint8Array.from(this.data, Math.round) };
  }

  #mix(i: number, red: number, green: number, blue: number, share: number): void {
    const { data } = this;
    data[i] = data[i]! + share * (red - data[i]!);
    data[i + 1] = data[i + 1]! + share * (green - data[i + 1]!);
    data[i + 2] = data[i + 2]! + share * (blue - data[i + 2]!);
  }
}

/** A colour that changes from a shape's top to its bottom. */
export type Shade = (y: number) => Colour;

/** From `from` to `to`, or as far beyond as `share` is. */
export function mix(from: Colour, to: Colour, share: number): Colour {
  return [
    from[0] + share * (to[0] - from[0]),
    from[1] + share * (to[1] - from[1]),
    from[2] + share * (to[2] - from[2]),
  ];
}

function within(from: number, to: number, length: number): [from: number, to: number] {
  return [Math.max(0, Math.floor(from)), Math.min(length, Math.ceil(to))];
}
