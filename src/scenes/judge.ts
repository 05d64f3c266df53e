import { checkPicture, type Picture } from "../image/index.ts";
import { Canvas, type Frame } from "./canvas.ts";
import { backdrop, borderOf, drawFigure, extentOf, silhouetteOf } from "./draw.ts";
import type { Scene, Subject } from "./scene.ts";
import {
  type ColourName,
  colours,
  type MascotName,
  mascots,
  namesOf,
  type ObjectName,
  objects,
  type PlaceName,
  type PositionName,
  places,
  type SizeName,
  styles,
  type TimeName,
  times,
} from "./vocabulary.ts";

/** What is seen in a picture. What can't be told is missing. */
export interface Judgement {
  readonly place?: PlaceName;
  readonly time?: TimeName;
  /** How many figures stand beside each other; 0 where there is nothing. */
  readonly count: number;
  readonly object?: ObjectName;
  readonly colour?: ColourName | undefined;
  readonly mascot?: MascotName;
  readonly position?: PositionName;
  readonly size?: SizeName;
  /** How much of what differs from the empty place the best drawing of a figure explains: 1 is all of it. */
  readonly explained: number;
}

/** The attributes that a picture is judged by. A scene has either object and colour or a mascot. */
export type Judged = "object" | "colour" | "mascot" | "place" | "time" | "count" | "position" | "size";

/** Distances of colours in 0…255 beyond which a pixel is no longer the same, and beyond which more doesn't matter. */
const [different, capped] = [34, 90];
/** How much of a picture must be the empty place, and how much of the figure its drawing must explain. */
const [leastPlace, leastExplained] = [0.5, 0.4];
/** How much of what is seen must be near to a colour: of small figures in an outline, little is. */
const leastColoured = 0.1;

/**
 * What a picture shows, from its pixels alone: analysis by synthesis. The place and time are those whose empty picture is
 * nearest, what differs from it is the figure, and that is whatever explains most of it when it is drawn there.
 */
export function judge(picture: Picture): Judgement {
  checkPicture(picture);
  const found = findPlace(picture);
  if (!found) return { count: 0, explained: 0 };
  const { place, time } = found;
  const figures = findFigures(picture, found.empty);
  const largest = figures.toSorted((a, b) => b.pixels - a.pixels)[0];
  if (!largest) return { place, time, count: 0, explained: 0 };
  const likely = likelyColours(picture, found.empty, largest);
  const { subject, frame, explained } = recognize(picture, found.empty, largest, likely);
  const known = explained < leastExplained ? { colour: likely[0] } : subject;
  return { place, time, count: figures.length, explained, ...known, ...whereabouts(frame, picture, figures.length) };
}

/** Whether each attribute of a scene is in its picture. Position is asked of single figures alone. */
export function agreement(seen: Judgement, scene: Scene): Partial<Record<Judged, boolean>> {
  const { subject, place, time, count, position, size } = scene;
  const asked = { ...subject, place, time, count, size, ...(count === 1 && { position }) };
  return Object.fromEntries(Object.entries(asked).map(([key, value]) => [key, seen[key as Judged] === value]));
}

interface Place {
  place: PlaceName;
  time: TimeName;
  empty: Canvas;
}

/** The place and time whose empty picture is nearest, if more than half of the picture is as there. */
function findPlace({ width, height, data }: Picture): Place | undefined {
  let [best, least]: [Place | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  for (const place of namesOf(places)) {
    for (const time of namesOf(times)) {
      const empty = backdrop(place, time, width, height);
      let cost = 0;
      for (let i = 0; i < data.length; i += 3) cost += Math.min(squaredDistance(data, empty.data, i), capped ** 2);
      if (cost < least) [best, least] = [{ place, time, empty }, cost];
    }
  }
  if (!best) return undefined;
  let same = 0;
  for (let i = 0; i < data.length; i += 3) same += squaredDistance(data, best.empty.data, i) < different ** 2 ? 1 : 0;
  return same / (width * height) < leastPlace ? undefined : best;
}

/** Where something is that isn't of the place, in pixels; the right and the bottom are the first beyond it. */
interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
  pixels: number;
}

/** What stands in the picture, from left to right: figures have a gap between them. */
function findFigures(picture: Picture, empty: Canvas): Region[] {
  const { width, height } = picture;
  const mask = differences(picture, empty);
  const columns = runs(width, (x) => range(height).some((y) => mask[y * width + x]));
  const regions = columns.map(([left, right]) => {
    const inRow = (y: number) => range(right - left).filter((x) => mask[y * width + left + x]).length;
    const count = ([top, bottom]: Run) => range(bottom - top).reduce((sum, y) => sum + inRow(top + y), 0);
    const rows = runs(height, (y) => inRow(y) > 0, Math.ceil(height / 20)).map((run) => ({ run, pixels: count(run) }));
    // What lies above or below the figure is a misdrawn sun or wave.
    const { run, pixels } = rows.toSorted((a, b) => b.pixels - a.pixels)[0]!;
    return { left, top: run[0], right, bottom: run[1], pixels };
  });
  const most = Math.max(...regions.map(({ pixels }) => pixels), 0);
  return regions.filter(({ pixels }) => pixels >= 0.2 * most && pixels >= 0.006 * width * height);
}

type Run = readonly [from: number, to: number];

/** Where `holds` holds from 0 to below `length`; gaps of at most `gap` are passed over. */
function runs(length: number, holds: (i: number) => boolean, gap = 0): Run[] {
  const found: Run[] = [];
  for (const i of range(length).filter(holds)) {
    const last = found.at(-1);
    if (last && i - last[1] <= gap) found[found.length - 1] = [last[0], i + 1];
    else found.push([i, i + 1]);
  }
  return found;
}

function range(length: number): number[] {
  return Array.from({ length }, (_, i) => i);
}

/** Pixels that aren't of the place: 1. Those that stand alone, as noise does, are left out. */
function differences({ width, height, data }: Picture, empty: Canvas): Uint8Array {
  const mask = new Uint8Array(width * height);
  for (let i = 0; i < mask.length; i++) mask[i] = squaredDistance(data, empty.data, 3 * i) > different ** 2 ? 1 : 0;
  return mask.map((value, i) => {
    if (value === 0) return 0;
    const [x, y] = [i % width, Math.floor(i / width)];
    let around = 0;
    for (let v = Math.max(0, y - 1); v <= Math.min(height - 1, y + 1); v++) {
      for (let u = Math.max(0, x - 1); u <= Math.min(width - 1, x + 1); u++) around += mask[v * width + u]!;
    }
    return around >= 5 ? 1 : 0;
  });
}

type Style = keyof typeof styles;

/** One guess of what a region shows, and how far its drawing is from the picture there. */
interface Guess {
  subject: Subject;
  style: Style;
  frame: Frame;
  cost: number;
}

/** The figure whose drawing explains most of a region. */
function recognize(picture: Picture, empty: Canvas, region: Region, likely: readonly ColourName[]) {
  const around = {
    ...region,
    left: region.left - 3,
    top: region.top - 3,
    right: region.right + 3,
    bottom: region.bottom + 3,
  };
  const canvas = new Canvas(picture.width, picture.height);
  const guess = (subject: Subject, style: Style, frame: Frame): Guess => {
    drawFigure(canvas.take(empty), subject, style, frame);
    return { subject, style, frame, cost: costWithin(picture, canvas, around) };
  };
  const subjects: Subject[] = [
    ...namesOf(objects).flatMap((object) => likely.map((colour) => ({ object, colour }))),
    ...namesOf(mascots).map((mascot) => ({ mascot })),
  ];
  const guesses = subjects.flatMap((subject) =>
    namesOf(styles).flatMap((style) => framesFor(subject, style, region).map((frame) => guess(subject, style, frame))),
  );
  const refined = best(guesses, 6).map((one) => refine(one, guess));
  const { subject, frame, cost } = best(refined, 1)[0]!;
  return { subject, frame, explained: 1 - cost / costWithin(picture, empty, around) };
}

/** The colours of a region: that which most of it is nearest to first, and a second where there is nearly as much of it. */
function likelyColours(
  { width, data }: Picture,
  empty: Canvas,
  { left, top, right, bottom, pixels }: Region,
): ColourName[] {
  const votes = new Map(namesOf(colours).map((name) => [name, 0]));
  for (let y = top; y < bottom; y++) {
    for (let i = (y * width + left) * 3; i < (y * width + right) * 3; i += 3) {
      const name = squaredDistance(data, empty.data, i) > different ** 2 ? nearestColour(data, i) : undefined;
      if (name) votes.set(name, votes.get(name)! + 1);
    }
  }
  const ranked = [...votes].toSorted(([, a], [, b]) => b - a);
  const most = ranked[0]![1];
  return ranked.filter(([, count]) => count >= 0.4 * most && most >= leastColoured * pixels).map(([name]) => name);
}

function nearestColour(data: Uint8Array, i: number): ColourName | undefined {
  let [nearest, least]: [ColourName | undefined, number] = [undefined, capped ** 2];
  for (const name of namesOf(colours)) {
    const [red, green, blue] = colours[name].rgb;
    const distance = (data[i]! - red) ** 2 + (data[i + 1]! - green) ** 2 + (data[i + 2]! - blue) ** 2;
    if (distance < least) [nearest, least] = [name, distance];
  }
  return nearest;
}

/**
 * Where a figure lies that fills a region together with the border that its style puts around it: in both directions, or
 * in its width from its top on, as what is thin below may not have been seen.
 */
function framesFor(subject: Subject, style: Style, { left, top, right, bottom }: Region): Frame[] {
  const [l, t, r, b] = extentOf(silhouetteOf(subject));
  const [width, height] = [right - left, bottom - top];
  const border = Math.min(borderOf(style, width / (r - l))?.grow ?? 0, width / 4, height / 4);
  const across = (width - 2 * border) / (r - l);
  const scale = Math.sqrt((across * (height - 2 * border)) / (b - t));
  const x = (left + right) / 2;
  return [
    { x: x - ((l + r) / 2) * scale, y: (top + bottom - (t + b) * scale) / 2, scale },
    { x: x - ((l + r) / 2) * across, y: top + border - t * across, scale: across },
  ];
}

/** Moves and scales a guess by ever smaller steps while that brings it nearer. */
function refine(start: Guess, guess: (subject: Subject, style: Style, frame: Frame) => Guess): Guess {
  let now = start;
  for (const step of [2, 1, 0.5, 0.25]) {
    for (const axis of ["scale", "x", "y"] as const) {
      const tries = [-step, step].map((by) =>
        guess(now.subject, now.style, { ...now.frame, [axis]: now.frame[axis] + by }),
      );
      now = best([now, ...tries], 1)[0]!;
    }
  }
  return now;
}

function best(guesses: readonly Guess[], count: number): Guess[] {
  return guesses.toSorted((a, b) => a.cost - b.cost).slice(0, count);
}

function costWithin({ width, height, data }: Picture, canvas: Canvas, { left, top, right, bottom }: Region): number {
  let cost = 0;
  for (let y = Math.max(0, top); y < Math.min(height, bottom); y++) {
    const end = (y * width + Math.min(width, right)) * 3;
    for (let i = (y * width + Math.max(0, left)) * 3; i < end; i += 3) {
      cost += Math.min(squaredDistance(data, canvas.data, i), capped ** 2);
    }
  }
  return cost;
}

/** Of two or three figures, only the size is told: they stand in a row. */
function whereabouts({ x, scale }: Frame, { width, height }: Picture, count: number) {
  const side = (2 * scale) / Math.min(width, height);
  const size: SizeName = side > (count === 1 ? 0.36 : 0.31) ? "big" : "small";
  const share = x / width;
  const position: PositionName = count > 1 ? "centre" : share < 0.38 ? "left" : share > 0.62 ? "right" : "centre";
  return { position, size };
}

function squaredDistance(a: ArrayLike<number>, b: ArrayLike<number>, i: number): number {
  return (a[i]! - b[i]!) ** 2 + (a[i + 1]! - b[i + 1]!) ** 2 + (a[i + 2]! - b[i + 2]!) ** 2;
}
