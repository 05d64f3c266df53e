import { Canvas, type Extent, type Frame, mix } from "./canvas.ts";
import { box, circle, difference, ellipse, type Point, polygon, type Shape, union } from "./shapes.ts";
import type { Colour, PlaceName, TimeName } from "./vocabulary.ts";

/** How a time of day colours the sky from its top to the horizon, and what lies under it. */
interface Light {
  readonly top: Colour;
  readonly horizon: Colour;
  /** What the colours of a place are multiplied by. */
  readonly tint: Colour;
}

const lights: Readonly<Record<TimeName, Light>> = {
  day: { top: [140, 200, 245], horizon: [222, 242, 252], tint: [1, 1, 1] },
  evening: { top: [150, 120, 165], horizon: [250, 190, 150], tint: [0.9, 0.7, 0.68] },
  night: { top: [22, 28, 68], horizon: [78, 92, 150], tint: [0.34, 0.4, 0.62] },
};

/** Something that stands on the horizon, or lies on the ground: (0, 0) is the horizon's middle, y runs downwards. */
interface Feature {
  readonly shape: Shape;
  readonly colour: Colour;
}

interface Land {
  readonly ground: Colour;
  readonly features: readonly Feature[];
}

/** The places by day. One unit is the shorter side of the picture; what lies beyond its borders is not seen. */
const lands: Readonly<Record<PlaceName, Land>> = {
  meadow: {
    ground: [188, 226, 130],
    features: [
      { shape: union(ellipse(-0.5, 0.12, 0.6, 0.22), ellipse(0.55, 0.12, 0.55, 0.17)), colour: [160, 210, 115] },
      { shape: box(-2, 0.08, 2, 1), colour: [188, 226, 130] },
    ],
  },
  sea: {
    ground: [105, 190, 215],
    features: [
      {
        shape: union(wave(-0.6, 0.1), wave(0.1, 0.08), wave(0.66, 0.14), wave(-0.26, 0.3), wave(0.4, 0.32)),
        colour: [170, 222, 235],
      },
    ],
  },
  desert: {
    ground: [238, 214, 160],
    features: [
      {
        shape: polygon([
          [0.02, 0.02],
          [0.3, -0.26],
          [0.58, 0.02],
        ]),
        colour: [212, 178, 122],
      },
      { shape: ellipse(-0.42, 0.12, 0.6, 0.24), colour: [225, 194, 138] },
      { shape: ellipse(0.62, 0.2, 0.7, 0.24), colour: [238, 214, 160] },
    ],
  },
  snow: {
    ground: [192, 214, 240],
    features: [
      { shape: union(ellipse(-0.62, 0.1, 0.42, 0.24), ellipse(0.3, 0.1, 0.5, 0.15)), colour: [208, 226, 246] },
    ],
  },
  forest: {
    ground: [148, 182, 128],
    features: [
      {
        shape: union(
          ...[-0.92, -0.66, -0.4, -0.14, 0.12, 0.38, 0.64, 0.9].map((x, i) => conifer(x, 0.3 + 0.06 * (i % 2))),
        ),
        colour: [88, 140, 122],
      },
    ],
  },
  town: {
    ground: [182, 178, 188],
    features: [
      {
        shape: union(
          ...[
            [-0.9, 0.2],
            [-0.64, 0.34],
            [-0.38, 0.24],
            [-0.1, 0.4],
            [0.16, 0.2],
            [0.42, 0.32],
            [0.7, 0.24],
            [0.94, 0.36],
          ].map(([x, height]) => box(x! - 0.1, -height!, x! + 0.1, 0.02)),
        ),
        colour: [122, 126, 160],
      },
    ],
  },
  mountains: {
    ground: [172, 170, 132],
    features: [
      { shape: union(peak(0.3, 0.34, 0.46), peak(-0.2, 0.44, 0.5)), colour: [124, 132, 162] },
      { shape: union(cap(0.3, 0.34, 0.46), cap(-0.2, 0.44, 0.5)), colour: [235, 240, 248] },
    ],
  },
};

const everywhere: Extent = [-2, -2, 2, 2];

/** A place at a time of day, with nothing in it. */
export function drawBackdrop(place: PlaceName, time: TimeName, width: number, height: number): Canvas {
  const canvas = new Canvas(width, height);
  const unit = Math.min(width, height);
  const horizon = Math.round(height * 0.58);
  const { top, horizon: low, tint } = lights[time];
  canvas.rows((y) => mix(top, low, Math.min(1, y / horizon)));
  drawLights(canvas, time);
  const frame: Frame = { x: width / 2, y: horizon, scale: unit };
  const { ground, features } = lands[place];
  canvas.fill(box(-2, 0, 2, 2), tinted(ground, tint), frame, everywhere);
  for (const { shape, colour } of features) canvas.fill(shape, tinted(colour, tint), frame, everywhere);
  return canvas;
}

/** The sun high by day and low in the evening, or the moon and stars. */
function drawLights(canvas: Canvas, time: TimeName): void {
  const { width, height } = canvas;
  const scale = Math.min(width, height);
  const extent: Extent = [-0.2, -0.2, 0.2, 0.2];
  if (time === "day")
    canvas.fill(circle(0, 0, 0.09), [255, 236, 140], { x: width * 0.84, y: height * 0.14, scale }, extent);
  if (time === "evening")
    canvas.fill(circle(0, 0, 0.13), [255, 120, 80], { x: width * 0.16, y: height * 0.42, scale }, extent);
  if (time !== "night") return;
  const moon = difference(circle(0, 0, 0.1), circle(-0.06, -0.03, 0.085));
  canvas.fill(moon, [255, 245, 190], { x: width * 0.82, y: height * 0.16, scale }, extent);
  for (const [x, y] of stars)
    canvas.fill(circle(0, 0, 0.016), [230, 232, 250], { x: width * x, y: height * y, scale }, extent);
}

const stars: readonly Point[] = [
  [0.12, 0.1],
  [0.3, 0.22],
  [0.45, 0.07],
  [0.62, 0.2],
  [0.08, 0.34],
  [0.93, 0.34],
];

function tinted([red, green, blue]: Colour, [r, g, b]: Colour): Colour {
  return [red * r, green * g, blue * b];
}

function wave(x: number, y: number): Shape {
  return ellipse(x, y, 0.17, 0.018);
}

function conifer(x: number, height: number): Shape {
  return polygon([
    [x - 0.17, 0.02],
    [x, -height],
    [x + 0.17, 0.02],
  ]);
}

function peak(x: number, height: number, halfWidth: number): Shape {
  return polygon([
    [x - halfWidth, 0.02],
    [x, -height],
    [x + halfWidth, 0.02],
  ]);
}

/** The snow on a peak: its uppermost three tenths. */
function cap(x: number, height: number, halfWidth: number): Shape {
  return polygon([
    [x - halfWidth * 0.3, -height * 0.7],
    [x, -height],
    [x + halfWidth * 0.3, -height * 0.7],
  ]);
}
