import { binary, cast, operator } from "../build.ts";
import { leaf, type Node } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import { blocksBehind, repeatBlocks } from "./lasting-blocks.ts";
import { linearMap } from "./linear-map.ts";
import { channelsFirst, channelsLast } from "./window.ts";

interface ResizeAttributes {
  alignCorners: boolean;
  halfPixelCenters: boolean;
}

/** Where each of `to` cells lies among `from` cells, as tfjs computes it. */
function positions(from: number, to: number, { alignCorners, halfPixelCenters }: ResizeAttributes): number[] {
  const factor = alignCorners && to > 1 ? (from - 1) / (to - 1) : from / to;
  return Array.from({ length: to }, (_, i) => (halfPixelCenters ? factor * (i + 0.5) : factor * i));
}

/** The cell that is nearest to each. */
function nearest(from: number, to: number, attributes: ResizeAttributes): number[] {
  const round = attributes.alignCorners ? Math.round : Math.floor;
  return positions(from, to, attributes).map((position) => Math.max(0, Math.min(from - 1, round(position))));
}

/** The two cells that each lies between, and how far it is from the first. */
function between(from: number, to: number, attributes: ResizeAttributes) {
  const shift = attributes.halfPixelCenters ? 0.5 : 0;
  return positions(from, to, attributes).map((position) => {
    const low = Math.max(0, Math.floor(position - shift));
    return { low, high: Math.min(from - 1, Math.ceil(position - shift)), fraction: position - shift - low };
  });
}

function gather(x: Node, axis: number, cells: readonly number[]): Node {
  const index = leaf("int32", [cells.length], { kind: "constant", values: Int32Array.from(cells) });
  return operator(
    "Gather",
    [x, index],
    { type: x.type, shape: x.shape.with(axis, cells.length) },
    { axis: BigInt(axis) },
  );
}

const resizeNearest: Kernel = ({ x, attrs }) => {
  const [height, width] = attrs.size as [number, number];
  const [scaleY, scaleX] = [height / x.shape[1]!, width / x.shape[2]!];
  const isWhole = Number.isInteger(scaleY) && Number.isInteger(scaleX) && !attrs.alignCorners;
  if (isWhole && x.type === "float32") return repeatCells(x, scaleY, scaleX);
  const rows = gather(x, 1, nearest(x.shape[1]!, height, attrs));
  return gather(rows, 2, nearest(x.shape[2]!, width, attrs));
};

/** By an operator that works on channels before sides, as the convolutions around it do. */
function repeatCells(x: Node, scaleY: number, scaleX: number): Node {
  const blocks = blocksBehind(x);
  if (blocks) return repeatBlocks(blocks, scaleY, scaleX);
  const input = channelsFirst(x);
  const shape = [...input.shape.slice(0, 2), input.shape[2]! * scaleY, input.shape[3]! * scaleX];
  const scales = leaf("float32", [4], { kind: "constant", values: Float32Array.of(1, 1, scaleY, scaleX) });
  const attributes = { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" };
  return channelsLast(operator("Resize", [input, undefined, scales], { type: x.type, shape }, attributes));
}

const resizeBilinear: Kernel = ({ x, attrs }) => {
  let resized = cast(x, "float32");
  for (const [side, to] of (attrs.size as [number, number]).toReversed().entries()) {
    const axis = 2 - side; // along the rows first, as tfjs does
    const cells = between(x.shape[axis]!, to, attrs);
    const low = gather(
      resized,
      axis,
      cells.map((cell) => cell.low),
    );
    const high = gather(
      resized,
      axis,
      cells.map((cell) => cell.high),
    );
    const values = Float32Array.from(cells, (cell) => cell.fraction);
    const fractions = leaf("float32", axis === 1 ? [to, 1, 1] : [to, 1], { kind: "constant", values });
    resized = binary("Add", low, binary("Mul", binary("Sub", high, low), fractions));
  }
  return resized;
};

/** The gradient of a resize: what each cell gave comes back to it. */
function gradient(weightsOf: (from: number, to: number, attributes: ResizeAttributes) => Weights): Kernel {
  return ({ inputs: { images, dy }, attrs }) => {
    let back = dy!;
    for (const axis of [1, 2]) {
      const [from, to] = [images!.shape[axis]!, dy!.shape[axis]!];
      const weights = weightsOf(from, to, attrs);
      back = linearMap(back, axis, from, to, (cell, place) => weights(place, cell));
    }
    return back;
  };
}

/** How much of a cell is in a place. */
type Weights = (place: number, cell: number) => number;

export const resize: Kernels = {
  ResizeNearestNeighbor: resizeNearest,
  ResizeBilinear: resizeBilinear,
  ResizeNearestNeighborGrad: gradient((from, to, attributes) => {
    const cells = nearest(from, to, attributes);
    return (place, cell) => (cells[place] === cell ? 1 : 0);
  }),
  ResizeBilinearGrad: gradient((from, to, attributes) => {
    const cells = between(from, to, attributes);
    return (place, cell) => {
      const { low, high, fraction } = cells[place]!;
      return (low === cell ? 1 - fraction : 0) + (high === cell ? fraction : 0);
    };
  }),
};
