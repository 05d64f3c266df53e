import * as tf from "@tensorflow/tfjs-core";
import { binary, cast, operator, reshape, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { choose, counting, fed, isNegative, slice, take } from "./words.ts";

// Images [B, H, W, C] looked at in other places than their pixels.

export const image: Kernels = {
  CropAndResize: ({ inputs: { image, boxes, boxInd }, attrs }) => {
    const { cropSize, method, extrapolationValue } = attrs as CropAndResize;
    const [batch, height, width] = image!.shape as [number, number, number, number];
    const count = boxes!.shape[0]!;
    const side = (index: number) => slice(boxes!, [0, index], [count, 1]);
    const y = reshape(between(side(0), side(2), height, cropSize[0]), [count, cropSize[0], 1]);
    const x = reshape(between(side(1), side(3), width, cropSize[1]), [count, 1, cropSize[1]]);
    const places = { batch: reshape(boxInd!, [count, 1, 1]), y, x };
    const found =
      method === "bilinear" ? blend(cast(image!, "float32"), places) : nearest(cast(image!, "float32"), places);
    const isInside = and(isWithin(y, height), isWithin(x, width));
    const crops = choose(withChannel(isInside), found, scalar(extrapolationValue, "float32"));
    const hasImage = binary("Less", boxInd!, scalar(batch, "int32"), "bool");
    return choose(reshape(hasImage, [count, 1, 1, 1]), crops, scalar(0, "float32"));
  },

  Transform: ({ inputs: { image, transforms }, attrs }) => {
    const { interpolation, fillMode, fillValue, outputShape } = attrs as Transform;
    const [batch, height, width] = image!.shape as [number, number, number, number];
    const [outHeight, outWidth] = outputShape ?? [height, width];
    const count = transforms!.shape[0]!;
    const entry = (index: number) => reshape(slice(transforms!, [0, index], [count, 1]), [count, 1, 1]);
    const row = reshape(counting(outHeight, "float32"), [1, outHeight, 1]);
    const column = reshape(counting(outWidth, "float32"), [1, 1, outWidth]);
    const line = (first: number) => add(multiply(entry(first), column), multiply(entry(first + 1), row));
    const depth = add(line(6), one());
    const place = (first: number, length: number) =>
      withinEdges(binary("Div", add(line(first), entry(first + 2)), depth), length, fillMode);
    const numbers = reshape(counting(batch), [batch, 1, 1]);
    const places = { batch: numbers, y: place(3, height), x: place(0, width) };
    const fill = scalar(fillValue, "float32");
    const pixels = cast(image!, "float32");
    const found = interpolation === "nearest" ? nearest(pixels, places, fill) : blend(pixels, places, fill);
    const isInfinite = binary("Equal", depth, scalar(0, "float32"), "bool");
    return cast(choose(withChannel(isInfinite), fill, found), image!.type);
  },

  RotateWithOffset: ({ inputs: { image }, attrs }) => {
    const { radians, fillValue, center } = attrs as {
      radians: number;
      fillValue: number | number[];
      center: number | [number, number];
    };
    const [batch, height, width, channels] = image!.shape as [number, number, number, number];
    const [centerX, centerY] = tf.backend_util.getImageCenter(center, height, width);
    const rotated = (along: (x: number, y: number) => number) =>
      Float32Array.from({ length: height * width }, (_, i) =>
        Math.round(along((i % width) - centerX, Math.floor(i / width) - centerY)),
      );
    const [sin, cos] = [Math.sin(radians), Math.cos(radians)];
    const x = rotated((dx, dy) => dx * cos - dy * sin + centerX);
    const y = rotated((dx, dy) => dx * sin + dy * cos + centerY);
    const fill = Array.from({ length: channels }, (_, i) =>
      typeof fillValue === "number" ? fillValue : i === 3 ? 255 : fillValue[i]!,
    );
    const places = {
      batch: reshape(counting(batch), [batch, 1, 1]),
      y: fed(y, "float32", [1, height, width]),
      x: fed(x, "float32", [1, height, width]),
    };
    const found = nearest(cast(image!, "float32"), places, fed(Float32Array.from(fill), "float32", [channels]));
    return cast(found, image!.type);
  },
};

interface CropAndResize {
  cropSize: [number, number];
  method: "bilinear" | "nearest";
  extrapolationValue: number;
}

interface Transform {
  interpolation: "nearest" | "bilinear";
  fillMode: FillMode;
  fillValue: number;
  outputShape?: [number, number];
}
type FillMode = "constant" | "reflect" | "wrap" | "nearest";

/** Where to look, in pixels; the three go together by broadcasting. */
interface Places {
  batch: Node;
  y: Node;
  x: Node;
}

const one = () => scalar(1, "float32");
const add = (a: Node, b: Node) => binary("Add", a, b);
const subtract = (a: Node, b: Node) => binary("Sub", a, b);
const multiply = (a: Node, b: Node) => binary("Mul", a, b);
const and = (a: Node, b: Node) => binary("And", a, b, "bool");
const withChannel = (x: Node) => reshape(x, [...x.shape, 1]);

/** Half goes up, as in JavaScript. */
const rounded = (x: Node) => unary("Floor", add(x, scalar(0.5, "float32")));

function clamped(x: Node, length: number): Node {
  return operator("Clip", [x, scalar(0, x.type), scalar(length - 1, x.type)], x);
}

function isWithin(x: Node, length: number): Node {
  return and(unary("Not", isNegative(x)), binary("LessOrEqual", x, scalar(length - 1, "float32"), "bool"));
}

/** `count` places from the one end of a box to the other, or its middle. Ends are parts of the side. */
function between(begin: Node, end: Node, length: number, count: number): Node {
  const last = scalar(length - 1, "float32");
  if (count === 1) return multiply(multiply(add(begin, end), last), scalar(0.5, "float32"));
  const step = binary("Div", multiply(subtract(end, begin), last), scalar(count - 1, "float32"));
  return add(multiply(begin, last), multiply(counting(count, "float32"), step));
}

/** Pixels at whole places; beyond the edges there is the fill, or, where there is none, the edge. */
function pixels(image: Node, { batch, y, x }: Places, fill?: Node): Node {
  const [images, height, width, channels] = image.shape as [number, number, number, number];
  const whole = (place: Node, length: number) => cast(clamped(place, length), "int32");
  const rows = add(multiply(clamped(batch, images), scalar(height, "int32")), whole(y, height));
  const places = add(multiply(rows, scalar(width, "int32")), whole(x, width));
  const found = take(reshape(image, [images * height * width, channels]), places, 0);
  return fill ? choose(withChannel(and(isWithin(y, height), isWithin(x, width))), found, fill) : found;
}

function nearest(image: Node, { batch, y, x }: Places, fill?: Node): Node {
  return pixels(image, { batch, y: rounded(y), x: rounded(x) }, fill);
}

/** Between four pixels. */
function blend(image: Node, { batch, y, x }: Places, fill?: Node): Node {
  const [top, left] = [unary("Floor", y), unary("Floor", x)];
  const [bottom, right] = [add(top, one()), add(left, one())];
  const [down, across] = [withChannel(subtract(y, top)), withChannel(subtract(x, left))];
  const mix = (a: Node, b: Node, part: Node) => add(multiply(a, subtract(one(), part)), multiply(b, part));
  const row = (at: Node) =>
    mix(pixels(image, { batch, y: at, x: left }, fill), pixels(image, { batch, y: at, x: right }, fill), across);
  return mix(row(top), row(bottom), down);
}

/** A place beyond the edges as one within them. */
function withinEdges(place: Node, length: number, mode: FillMode): Node {
  if (mode === "constant") return place;
  if (mode === "nearest" || length === 1) return clamped(place, length);
  if (mode === "reflect") {
    const period = scalar(2 * length, "float32");
    const inPeriod = subtract(place, multiply(unary("Floor", binary("Div", place, period)), period));
    const isMirrored = binary("GreaterOrEqual", inPeriod, scalar(length, "float32"), "bool");
    return clamped(choose(isMirrored, subtract(scalar(2 * length - 1, "float32"), inPeriod), inPeriod), length);
  }
  const turns = unary("Floor", binary("Div", unary("Abs", place), scalar(length - 1, "float32")));
  const before = add(place, multiply(add(turns, one()), scalar(length, "float32")));
  const after = subtract(place, multiply(turns, scalar(length, "float32")));
  const isAfter = binary("Greater", place, scalar(length - 1, "float32"), "bool");
  return clamped(choose(isNegative(place), before, choose(isAfter, after, place)), length);
}
