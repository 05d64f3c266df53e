import { InputError } from "../errors.ts";
import type { Picture } from "../image/index.ts";
import { drawBackdrop } from "./backdrop.ts";
import { type Canvas, type Extent, type Frame, mix, type Shade } from "./canvas.ts";
import { dark, type Figure, figures, type Paint } from "./figures.ts";
import { mascotFigures } from "./mascots.ts";
import type { Scene, Subject } from "./scene.ts";
import { union } from "./shapes.ts";
import {
  type Colour,
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
  const canvas = backdrop(scene.place, scene.time, width, height).copy();
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
  // Two big ones must leave a gap between them.
  const side = unit * heights[size] * (count === 2 && size === "big" ? 0.84 : 1) * (1 + 0.06 * grow);
  const bottom = height * (size === "big" ? 0.88 : 0.8) + unit * 0.025 * dy;
  const across = count === 1 ? [middles[position]] : rows[count - 2]!;
  return across.map((x) => ({ x: width * x + unit * 0.025 * dx, y: bottom - side / 2, scale: side / 2 }));
}

const whole: Extent = [-1.05, -1.05, 1.05, 1.05];

/** Draws one object or mascot. */
export function drawFigure(canvas: Canvas, subject: Subject, style: StyleName, frame: Frame): void {
  const figure = "mascot" in subject ? mascotFigures[subject.mascot] : figures[subject.object];
  const body: Colour = "mascot" in subject ? dark : colours[subject.colour].rgb;
  drawBehind(canvas, figure, style, frame);
  for (const { shape, paint } of figure) canvas.fill(shape, paintFor(paint, body, style), frame, whole);
}

/** What a style puts behind a figure: a line around it, or a shine. */
function drawBehind(canvas: Canvas, figure: Figure, style: StyleName, frame: Frame): void {
  const silhouette = union(...figure.map(({ shape }) => shape));
  const pixel = frame.scale / 16;
  if (style === "outlined") canvas.fill(silhouette, dark, frame, whole, { grow: Math.max(1, 1.1 * pixel) });
  if (style === "soft")
    canvas.fill(silhouette, [255, 255, 255], frame, whole, { grow: 1.2 * pixel, blur: 3.6 * pixel });
}

function paintFor(paint: Paint, body: Colour, style: StyleName): Colour | Shade {
  const colour = paint === "body" ? body : paint === "shade" ? mix(body, [0, 0, 0], 0.25) : paint;
  if (style !== "soft") return colour;
  return (y) => (y < 0 ? mix(colour, [255, 255, 255], -0.22 * y) : mix(colour, [0, 0, 0], 0.2 * y));
}
