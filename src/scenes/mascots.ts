import { dark, type Figure } from "./figures.ts";
import { box, circle, ellipse, intersection, line, polygon, star, union } from "./shapes.ts";
import type { Colour, MascotName } from "./vocabulary.ts";

const cream: Colour = [255, 246, 225];
const cheek: Colour = [255, 150, 160];
const gold: Colour = [255, 205, 50];
const mint: Colour = [110, 220, 185];
const brown: Colour = [165, 105, 65];
const sky: Colour = [130, 190, 250];
const pumpkin: Colour = [250, 145, 40];
const violet: Colour = [110, 60, 165];
const navy: Colour = [45, 65, 125];
const scarf: Colour = [230, 50, 65];

/** Our characters. Each has several colours of its own, and no style or scene changes them. */
export const mascotFigures: Readonly<Record<MascotName, Figure>> = {
  // A mint cat with a star on its forehead.
  mint: [
    {
      shape: polygon([
        [-0.86, 0.2],
        [-0.88, -0.86],
        [-0.1, -0.36],
      ]),
      paint: mint,
    },
    {
      shape: polygon([
        [0.86, 0.2],
        [0.88, -0.86],
        [0.1, -0.36],
      ]),
      paint: mint,
    },
    { shape: ellipse(0, 0.28, 1, 0.7), paint: mint },
    { shape: ellipse(0, 0.62, 0.42, 0.28), paint: cream },
    { shape: star(0, -0.3, 0.5, 0.5), paint: gold },
    ...face(0.44, 0.26),
  ],
  // A brown bear as round as a rice cake, with a cream muzzle.
  latte: [
    { shape: union(circle(-0.66, -0.6, 0.36), circle(0.66, -0.6, 0.36)), paint: brown },
    { shape: union(circle(-0.66, -0.6, 0.18), circle(0.66, -0.6, 0.18)), paint: cheek },
    { shape: ellipse(0, 0.16, 0.98, 0.84), paint: brown },
    { shape: ellipse(0, 0.46, 0.54, 0.42), paint: cream },
    { shape: ellipse(0, 0.32, 0.17, 0.12), paint: dark },
    ...face(0.5, 0),
  ],
  // A rabbit as blue as the sky, with pink in its long ears.
  soda: [
    { shape: union(ellipse(-0.36, -0.5, 0.24, 0.52), ellipse(0.36, -0.5, 0.24, 0.52)), paint: sky },
    { shape: union(ellipse(-0.36, -0.46, 0.11, 0.36), ellipse(0.36, -0.46, 0.11, 0.36)), paint: cheek },
    { shape: ellipse(0, 0.42, 0.74, 0.58), paint: sky },
    { shape: ellipse(0, 0.7, 0.4, 0.28), paint: cream },
    ...face(0.34, 0.34),
  ],
  // A pumpkin under a witch's hat.
  lulu: [
    { shape: ellipse(0, 0.44, 0.92, 0.58), paint: pumpkin },
    { shape: ellipse(0, 0.44, 0.4, 0.58), paint: [255, 170, 70] },
    {
      shape: polygon(
        [
          [-0.46, -0.12],
          [0.08, -1],
          [0.46, -0.12],
        ],
        0.02,
      ),
      paint: violet,
    },
    { shape: ellipse(0, -0.1, 0.84, 0.15), paint: violet },
    {
      shape: polygon([
        [-0.4, -0.22],
        [-0.3, -0.4],
        [0.32, -0.4],
        [0.4, -0.22],
      ]),
      paint: gold,
    },
    ...face(0.4, 0.36),
  ],
  // A penguin with a red scarf.
  popo: [
    { shape: union(ellipse(-0.66, 0.4, 0.2, 0.44), ellipse(0.66, 0.4, 0.2, 0.44)), paint: navy },
    { shape: union(ellipse(-0.3, 0.92, 0.26, 0.1), ellipse(0.3, 0.92, 0.26, 0.1)), paint: gold },
    { shape: ellipse(0, 0, 0.7, 0.98), paint: navy },
    { shape: union(ellipse(0, 0.42, 0.46, 0.48), circle(-0.22, -0.36, 0.28), circle(0.22, -0.36, 0.28)), paint: cream },
    {
      shape: union(intersection(ellipse(0, 0, 0.74, 1), box(-1, -0.06, 1, 0.2)), line([0.3, 0.1], [0.36, 0.5], 0.24)),
      paint: scarf,
    },
    {
      shape: polygon([
        [-0.2, -0.3],
        [0.2, -0.3],
        [0, -0.08],
      ]),
      paint: gold,
    },
    ...face(0.24, -0.42),
  ],
};

/** Two eyes, that far from the middle and at that height. */
function face(apart: number, y: number): Figure {
  return [-apart, apart].map((x) => ({ shape: ellipse(x, y, 0.1, 0.14), paint: dark }));
}
