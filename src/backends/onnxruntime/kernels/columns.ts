import { reshape, sizeOf } from "../build.ts";
import type { Node } from "../graph.ts";
import { grid, paddedSide, rowsAt, steps, withRow } from "./grid.ts";
import { reach, type Window } from "./window.ts";

/**
 * What a filter sees at each place, one row a place: x [N, sides, C] → [N · places, cells of the filter · C]. Outside of x
 * it sees `outside`.
 */
export function columns(x: Node, window: Window, outside = 0): Node {
  const [batch, channels] = [x.shape[0]!, x.shape.at(-1)!];
  const index = cellsSeen(batch, window);
  const seen = rowsAt(withRow(reshape(x, [batch * sizeOf(window.inputs), channels]), outside), index);
  return reshape(seen, [batch * sizeOf(window.outputs), sizeOf(window.sizes) * channels]);
}

/** Which cell each cell of the filter sees at each place, the number of all cells where none: [N, outputs, sizes] */
export function cellsSeen(batch: number, window: Window): Node {
  const { inputs, outputs, sizes, strides, dilations } = window;
  const cells = batch * sizeOf(inputs);
  const sides = [...inputs.keys()];
  const reaches = sides.map((side) => reach(window, side));
  const padded = sides.map((side) => paddedSide(window, side, sizeOf(inputs.slice(side + 1)), cells));
  const numbers = grid([steps(batch, sizeOf(inputs)), ...padded], cells); // [N, sides with padding]
  const places = grid([
    steps(batch, sizeOf(reaches)),
    ...sides.map((side) => steps(outputs[side]!, strides[side]! * sizeOf(reaches.slice(side + 1)))),
    ...sides.map((side) => steps(sizes[side]!, dilations[side]! * sizeOf(reaches.slice(side + 1)))),
  ]);
  return reshape(rowsAt(reshape(numbers, [sizeOf(numbers.shape), 1]), places), places.shape);
}
