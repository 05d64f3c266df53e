import { InputError } from "../errors.ts";
import type { Picture } from "../image/index.ts";
import { drawBackdrop } from "./backdrop.ts";
import { Canvas, type Extent, type Frame, mix, type Shade } from "./canvas.ts";
import { dark, type Figure, figures, type Paint } from "./figures.ts";
import { mascotFigures } from "./mascots.ts";
import type { Scene, Subject } from "./scene.ts";
import { type Shape, union } from "./shapes.ts";
import {
  type Colour,
  type Count,
  colours,
  type PlaceName,
  type PositionName,
  type SizeName,
  type StyleName,
  type TimeName,
} from "./vocabulary.ts";

/** The smallest side of a picture of a scene: below it, small objects are too few pixels to be told apart. */
export const smallestSide = 32;

/**
 * The picture of a scene.
 * @throws InputError where a side is no whole number or under 32 pixels
 */
export function drawScene(scene: Scene, width = 64, height = width): Picture {
  if (![width, height].every((side) => Number.isInteger(side) && side >= smallestSide)) {
    throw new InputError(
      `A scene of ${width}×${height} pixels can't be drawn: both sides are at least ${smallestSide}.`,
    );
  }
  const canvas = new Canvas(width, height).take(backdrop(scene.place, scene.time, width, height));
  for (const frame of framesOf(scene, width, height)) drawFigure(canvas, scene.subject, scene.style, frame);
  return canvas.picture();
}

const backdrops = new Map<string, Canvas>();

/** The backdrop, drawn once for a size: there are few, and they take most of the time. It is not to be drawn on. */
export function backdrop(place: PlaceName, time: TimeName, width: number, height: number): Canvas {
  const key = `${place} ${time} ${width} ${height}`;
  const canvas = backdrops.get(key) ?? drawBackdrop(place, time, width, height);
  if (backdrops.size >= 256) backdrops.clear(); // a caller may ask for any number of sizes
  backdrops.set(key, canvas);
  return canvas;
}

/** Heights of figures, in parts of the shorter side. */
const heights: Readonly<Record<SizeName, number>> = { small: 0.25, big: 0.48 };
/** How much smaller several are, so that there is a gap between them. */
const narrower: Readonly<Record<Count, number>> = { 1: 1, 2: 0.78, 3: 0.9 };
/** Middles of figures, in parts of the width. */
const middles: Readonly<Record<PositionName, number>> = { left: 0.26, centre: 0.5, right: 0.74 };
const rows: readonly (readonly number[])[] = [
  [0.26, 0.74],
  [0.18, 0.5, 0.82],
];

/** Where each figure of a scene lies. */
export function framesOf(
  { count, position, size, jitter: [dx, dy, grow] }: Scene,
  width: number,
  height: number,
): Frame[] {
  const unit = Math.min(width, height);
  const side = unit * heights[size] * narrower[count] * (1 + 0.06 * grow);
  const bottom = height * (size === "big" ? 0.88 : 0.8) + unit * 0.025 * dy;
  const across = count === 1 ? [middles[position]] : rows[count - 2]!;
  return across.map((x) => ({ x: width * x + unit * 0.025 * dx, y: bottom - side / 2, scale: side / 2 }));
}

const shine: Colour = [255, 255, 255];

/** Draws one object or mascot. */
export function drawFigure(canvas: Canvas, subject: Subject, style: StyleName, frame: Frame): void {
  const figure = figureOf(subject);
  const body: Colour = "mascot" in subject ? dark : colours[subject.colour].rgb;
  const border = borderOf(style, frame.scale);
  const silhouette = silhouetteOf(subject);
  if (border) canvas.fill(silhouette, style === "soft" ? shine : dark, frame, extentOf(silhouette), border);
  for (const { shape, paint } of figure) canvas.fill(shape, paintFor(paint, body, style), frame, extentOf(shape));
}

/** The shape of everything that a subject consists of. */
export function silhouetteOf(subject: Subject): Shape {
  const figure = figureOf(subject);
  const known = silhouettes.get(figure) ?? union(...figure.map(({ shape }) => shape));
  silhouettes.set(figure, known);
  return known;
}

const silhouettes = new Map<Figure, Shape>();

/** The smallest box around a shape of a figure, in its own coordinates. */
export function extentOf(shape: Shape): Extent {
  const known = extents.get(shape) ?? measure(shape);
  extents.set(shape, known);
  return known;
}

const extents = new Map<Shape, Extent>();

/** Looks at every point of a fine grid. */
function measure(shape: Shape): Extent {
  let [left, top, right, bottom] = [2, 2, -2, -2];

  for (let y = -1.1; y <= 1.1; y += 0.02) {
    for (let x = -1.1; x <= 1.1; x += 0.02) {
      if (shape(x, y) > 0.01) continue;
      [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
    }
  }
  return [left, top, right, bottom];
}

function figureOf(subject: Subject): Figure {
  return "mascot" in subject ? mascotFigures[subject.mascot] : figures[subject.object];
}

/** What a style puts behind a figure: a dark line around it, or a shine. In pixels, for a figure of that scale. */
export function borderOf(style: StyleName, scale: number): { grow: number; blur: number } | undefined {
  if (style === "outlined") return { grow: Math.max(1, scale / 15), blur: 1 };
  if (style === "soft") return { grow: scale / 13, blur: scale / 4.5 };
  return undefined;
}

function paintFor(paint: Paint, body: Colour, style: StyleName): Colour | Shade {
  const colour = paint === "body" ? body : paint === "shade" ? mix(body, [0, 0, 0], 0.25) : paint;
  if (style !== "soft") return colour;
  return (y) => (y < 0 ? mix(colour, [255, 255, 255], -0.22 * y) : mix(colour, [0, 0, 0], 0.2 * y));
}
