import { type Picture, resize } from "../image/index.ts";
import { smoothed } from "./smoothed.ts";

type Colour = readonly [red: number, green: number, blue: number];

const white: Colour = [255, 255, 255];
const ink: Colour = [60, 60, 60];
const grid: Colour = [225, 225, 225];
const border: Colour = [200, 120, 60];
const pale: Colour = [170, 200, 235];
const strong: Colour = [20, 80, 170];

/** Of the picture, and of the margins that the labels stand in, in pixels. */
const size = { width: 880, height: 480 };
const margin = { left: 70, top: 30, right: 20, bottom: 46 };
/** It is drawn larger and shrunk, which smooths its edges. */
const oversampling = 2;

export interface PlotPoint {
  readonly step: number;
  readonly loss: number;
  readonly stage: number;
}

/**
 * The loss over the steps: every one pale, the mean around it strong, and a line where a stage ends. The axis of losses is
 * logarithmic where all are over 0.
 */
export function lossPlot(points: readonly PlotPoint[]): Picture {
  const canvas = new Canvas(size.width, size.height);
  const axes = axesFor(points);
  drawFrame(canvas, axes);
  for (const [i, { step, stage }] of points.entries()) {
    if (i > 0 && points[i - 1]!.stage !== stage) canvas.vertical(axes.x(step), [plot.top, plot.bottom], border);
  }
  const losses = points.map(({ loss }) => loss);
  const radius = points.length > 500 ? 1 : 1.5;
  for (const { step, loss } of points) canvas.dot(axes.x(step), axes.y(loss), { radius, colour: pale });
  const means = smoothed(losses);
  for (let i = 1; i < points.length; i++) {
    const from = [axes.x(points[i - 1]!.step), axes.y(means[i - 1]!)] as const;
    canvas.line(from, [axes.x(points[i]!.step), axes.y(means[i]!)], { radius: 0.8, colour: strong });
  }
  return canvas.picture();
}

const plot = {
  left: margin.left,
  right: size.width - margin.right,
  top: margin.top,
  bottom: size.height - margin.bottom,
};

interface Axes {
  x: (step: number) => number;
  y: (loss: number) => number;
  steps: readonly number[];
  losses: readonly number[];
}

function axesFor(points: readonly PlotPoint[]): Axes {
  const last = Math.max(1, ...points.slice(-1).map(({ step }) => step));
  const [least, most] = rangeOf(points.map(({ loss }) => loss));
  const isLogarithmic = least > 0;
  const scale = isLogarithmic ? Math.log : (value: number) => value;
  const span = scale(most) - scale(least);
  return {
    x: (step) => plot.left + (step / last) * (plot.right - plot.left),
    y: (loss) => plot.bottom - ((scale(loss) - scale(least)) / span) * (plot.bottom - plot.top),
    steps: ticks(0, last, 8),
    losses: isLogarithmic ? decadeTicks(least, most) : ticks(least, most, 8),
  };
}

/** With some room, and never empty. */
function rangeOf(losses: readonly number[]): [least: number, most: number] {
  let [least, most] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const loss of losses) [least, most] = [Math.min(least, loss), Math.max(most, loss)];
  if (!Number.isFinite(least)) return [0.1, 1];
  if (least > 0) return [least / 1.1, most * 1.1];
  const room = (most - least || 1) / 20;
  return [least - room, most + room];
}

/** Round numbers from one to another, about so many. */
function ticks(from: number, to: number, count: number): number[] {
  const rough = (to - from) / count;
  const decade = 10 ** Math.floor(Math.log10(rough));
  const step = decade * ([1, 2, 5, 10].find((factor) => factor * decade >= rough) ?? 10);
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.floor(to / step) - first + 1 }, (_, i) => (first + i) * step);
}

/** 0.1, 0.2, 0.5, 1, …; between two of these, round numbers. */
function decadeTicks(from: number, to: number): number[] {
  const found: number[] = [];
  for (let decade = Math.floor(Math.log10(from)); decade <= Math.log10(to); decade++) {
    found.push(...[1, 2, 5].map((factor) => factor * 10 ** decade).filter((value) => value >= from && value <= to));
  }
  return found.length >= 2 ? found : ticks(from, to, 6);
}

function drawFrame(canvas: Canvas, { x, y, steps, losses }: Axes): void {
  for (const step of steps) {
    canvas.vertical(x(step), [plot.top, plot.bottom], grid);
    canvas.text(label(step), { x: x(step), y: plot.bottom + 8, align: 0.5 });
  }
  for (const loss of losses) {
    canvas.horizontal(y(loss), [plot.left, plot.right], grid);
    canvas.text(label(loss), { x: plot.left - 8, y: y(loss) - 5, align: 1 });
  }
  canvas.horizontal(plot.bottom, [plot.left, plot.right], ink);
  canvas.vertical(plot.left, [plot.top, plot.bottom], ink);
  canvas.text("loss", { x: plot.left, y: 10, align: 0.5 });
  canvas.text("steps", { x: plot.right, y: size.height - 18, align: 1 });
}

/** Without the last digits of a sum of floats: 0.30000000000000004 is 0.3. */
function label(value: number): string {
  return String(Number(value.toPrecision(3)));
}

/** Letters of 3 by 5, row by row from the top, a bit a place. */
const letters: Readonly<Record<string, readonly number[]>> = {
  "0": [7, 5, 5, 5, 7],
  "1": [2, 6, 2, 2, 7],
  "2": [7, 1, 7, 4, 7],
  "3": [7, 1, 7, 1, 7],
  "4": [5, 5, 7, 1, 1],
  "5": [7, 4, 7, 1, 7],
  "6": [7, 4, 7, 5, 7],
  "7": [7, 1, 1, 2, 2],
  "8": [7, 5, 7, 5, 7],
  "9": [7, 5, 7, 1, 7],
  ".": [0, 0, 0, 0, 2],
  "-": [0, 0, 7, 0, 0],
  "+": [0, 2, 7, 2, 0],
  e: [0, 3, 7, 4, 3],
  l: [6, 2, 2, 2, 7],
  o: [0, 2, 5, 5, 2],
  p: [0, 6, 5, 6, 4],
  s: [0, 3, 4, 1, 6],
  t: [2, 7, 2, 2, 1],
};
const letter = { width: 3, height: 5, pixel: 2, advance: 8 };

class Canvas {
  readonly #width: number;
  readonly #height: number;
  readonly #data: Uint8Array;

  constructor(width: number, height: number) {
    [this.#width, this.#height] = [width * oversampling, height * oversampling];
    this.#data = new Uint8Array(this.#width * this.#height * 3);
    this.#fill([0, 0, width, height], white);
  }

  horizontal(y: number, [from, to]: readonly [number, number], colour: Colour): void {
    this.#fill([from, Math.round(y), to, Math.round(y) + 1], colour);
  }

  vertical(x: number, [from, to]: readonly [number, number], colour: Colour): void {
    this.#fill([Math.round(x), from, Math.round(x) + 1, to], colour);
  }

  dot(x: number, y: number, { radius, colour }: { radius: number; colour: Colour }): void {
    this.#fill([x - radius, y - radius, x + radius, y + radius], colour);
  }

  line(
    from: readonly [number, number],
    to: readonly [number, number],
    { radius, colour }: { radius: number; colour: Colour },
  ): void {
    const count = Math.ceil(2 * Math.max(Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]), 1));
    for (let i = 0; i <= count; i++) {
      const at = (axis: 0 | 1) => from[axis] + ((to[axis] - from[axis]) * i) / count;
      this.dot(at(0), at(1), { radius, colour });
    }
  }

  /** @param at the top, and the place of which `align` of the text is to the left */
  text(text: string, at: { x: number; y: number; align: number }): void {
    const left = Math.round(at.x - at.align * (text.length * letter.advance - letter.pixel));
    for (const [i, character] of [...text].entries())
      this.#letter(character, left + i * letter.advance, Math.round(at.y));
  }

  #letter(character: string, left: number, top: number): void {
    for (const [row, bits] of (letters[character] ?? []).entries()) {
      for (let column = 0; column < letter.width; column++) {
        if (!(bits & (4 >> column))) continue;
        const [x, y] = [left + column * letter.pixel, top + row * letter.pixel];
        this.#fill([x, y, x + letter.pixel, y + letter.pixel], ink);
      }
    }
  }

  #fill([left, top, right, bottom]: readonly [number, number, number, number], colour: Colour): void {
    const inside = (value: number, limit: number) => Math.min(Math.max(Math.round(value * oversampling), 0), limit);
    for (let y = inside(top, this.#height); y < inside(bottom, this.#height); y++) {
      for (let x = inside(left, this.#width); x < inside(right, this.#width); x++) {
        this.#data.set(colour, 3 * (y * this.#width + x));
      }
    }
  }

  picture(): Picture {
    const drawn = { width: this.#width, height: this.#height, data: this.#data };
    return resize(drawn, { ...size, filter: "box" });
  }
}
