import { box, circle, difference, ellipse, intersection, line, polygon, type Shape, star, union } from "./shapes.ts";
import type { Colour, ObjectName } from "./vocabulary.ts";

/** "body" is the colour that the object is asked for in, "shade" a darker one. */
export type Paint = "body" | "shade" | Colour;

/** One shape of a figure in its paint. Those that come later lie over those before. */
export interface Patch {
  readonly shape: Shape;
  readonly paint: Paint;
}

/** What is drawn, in a square from (−1, −1) to (1, 1) that it fills in one direction at least. It stands on y = 1. */
export type Figure = readonly Patch[];

export const dark: Colour = [45, 38, 58];
const window: Colour = [225, 240, 250];
const bark: Colour = [125, 85, 55];

/** The objects. They are told apart by their outlines alone, and most of each is of its own colour. */
export const figures: Readonly<Record<ObjectName, Figure>> = {
  ball: [
    { shape: circle(0, 0.05, 0.95), paint: "body" },
    {
      shape: intersection(circle(0, 0.05, 0.95), difference(circle(0.5, 0.6, 1.6), circle(0, 0, 1.35))),
      paint: "shade",
    },
    { shape: ellipse(-0.35, -0.35, 0.24, 0.2), paint: [255, 250, 240] },
  ],
  star: [{ shape: star(0, 0.1, 1.05, 0.48), paint: "body" }],
  heart: [
    {
      shape: union(
        circle(-0.46, -0.36, 0.5),
        circle(0.46, -0.36, 0.5),
        polygon([
          [-0.88, -0.08],
          [0, 0.95],
          [0.88, -0.08],
          [0.3, -0.5],
          [-0.3, -0.5],
        ]),
      ),
      paint: "body",
    },
  ],
  house: [
    { shape: box(-0.72, -0.1, 0.72, 1), paint: "body" },
    {
      shape: polygon([
        [-1, 0.02],
        [0, -0.95],
        [1, 0.02],
      ]),
      paint: "shade",
    },
    { shape: box(-0.5, 0.3, -0.06, 0.68), paint: window },
    { shape: box(0.16, 0.3, 0.52, 1), paint: dark },
  ],
  tree: [
    { shape: box(-0.16, 0.5, 0.16, 1), paint: bark },
    {
      shape: polygon([
        [-0.72, 0.64],
        [0, -0.4],
        [0.72, 0.64],
      ]),
      paint: "body",
    },
    {
      shape: polygon([
        [-0.56, 0.1],
        [0, -1],
        [0.56, 0.1],
      ]),
      paint: "body",
    },
  ],
  fish: [
    {
      shape: polygon([
        [0.35, 0.1],
        [1, -0.42],
        [0.84, 0.1],
        [1, 0.62],
      ]),
      paint: "body",
    },
    { shape: ellipse(-0.22, 0.1, 0.78, 0.52), paint: "body" },
    {
      shape: polygon([
        [-0.02, 0.12],
        [0.3, -0.1],
        [0.3, 0.36],
      ]),
      paint: "shade",
    },
    { shape: circle(-0.6, -0.02, 0.11), paint: dark },
  ],
  boat: [
    {
      shape: polygon([
        [-1, 0.5],
        [1, 0.5],
        [0.62, 1],
        [-0.62, 1],
      ]),
      paint: "body",
    },
    { shape: box(-0.07, -1, 0.07, 0.5), paint: bark },
    {
      shape: polygon([
        [0.12, -0.9],
        [0.86, 0.34],
        [0.12, 0.34],
      ]),
      paint: "body",
    },
    {
      shape: polygon([
        [-0.12, -0.5],
        [-0.12, 0.34],
        [-0.66, 0.34],
      ]),
      paint: "shade",
    },
  ],
  car: [
    {
      shape: polygon(
        [
          [-0.66, 0.2],
          [-0.42, -0.3],
          [0.34, -0.3],
          [0.66, 0.2],
        ],
        0.06,
      ),
      paint: "body",
    },
    { shape: box(-1, 0.1, 1, 0.66, 0.16), paint: "body" },
    {
      shape: polygon([
        [-0.5, 0.14],
        [-0.34, -0.2],
        [-0.06, -0.2],
        [-0.06, 0.14],
      ]),
      paint: window,
    },
    {
      shape: polygon([
        [0.06, 0.14],
        [0.06, -0.2],
        [0.27, -0.2],
        [0.48, 0.14],
      ]),
      paint: window,
    },
    { shape: circle(-0.52, 0.66, 0.26), paint: dark },
    { shape: circle(0.52, 0.66, 0.26), paint: dark },
  ],
  umbrella: [
    { shape: union(line([0, 0], [0, 0.78], 0.15), hook(0.17, 0.78, 0.17)), paint: "shade" },
    {
      shape: difference(
        intersection(circle(0, 0.1, 1), box(-1, -1, 1, 0.14)),
        union(...[-0.66, 0, 0.66].map((x) => ellipse(x, 0.18, 0.34, 0.16))),
      ),
      paint: "body",
    },
    { shape: line([0, -0.95], [0, -0.8], 0.12), paint: "shade" },
  ],
  cat: [
    {
      shape: polygon([
        [-0.82, 0.2],
        [-0.84, -0.9],
        [-0.1, -0.4],
      ]),
      paint: "body",
    },
    {
      shape: polygon([
        [0.82, 0.2],
        [0.84, -0.9],
        [0.1, -0.4],
      ]),
      paint: "body",
    },
    { shape: ellipse(0, 0.25, 0.95, 0.72), paint: "body" },
    { shape: ellipse(-0.38, 0.14, 0.11, 0.16), paint: dark },
    { shape: ellipse(0.38, 0.14, 0.11, 0.16), paint: dark },
    {
      shape: polygon([
        [-0.12, 0.4],
        [0.12, 0.4],
        [0, 0.54],
      ]),
      paint: dark,
    },
  ],
};

/** The lower half of a ring: the handle of an umbrella. */
function hook(cx: number, cy: number, radius: number): Shape {
  const ring = difference(circle(cx, cy, radius + 0.075), circle(cx, cy, radius - 0.075));
  return intersection(ring, box(cx - 1, cy, cx + 1, cy + 1));
}
