/** The lengths in the order of `axes`: axis i of the result is axis `axes[i]` of what is given. */
export function permuted<T>(values: readonly T[], axes: readonly number[]): T[] {
  return axes.map((axis) => values[axis]!);
}

/** The axes that undo `axes`. */
export function inverse(axes: readonly number[]): number[] {
  return axes.map((_, axis) => axes.indexOf(axis));
}

/**
 * Turns the axes of an array of any shape: the result's axis i is axis `axes[i]` of `values`. Where no axis moves, `values`
 * itself is returned.
 */
export function permute(values: Float32Array, shape: readonly number[], axes: readonly number[]): Float32Array {
  if (axes.every((axis, i) => axis === i)) return values;
  const lengths = permuted(shape, axes);
  const steps = permuted(strides(shape), axes);
  const result = new Float32Array(values.length);
  const inner = lengths.at(-1)!;
  const innerStep = steps.at(-1)!;
  const counter = new Array<number>(lengths.length - 1).fill(0);
  let from = 0;
  for (let to = 0; to < result.length; to += inner) {
    for (let i = 0, at = from; i < inner; i++, at += innerStep) result[to + i] = values[at]!;
    // The next row: count up like an odometer.
    for (let axis = counter.length - 1; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++counter[axis]! < lengths[axis]!) break;
      from -= steps[axis]! * lengths[axis]!;
      counter[axis] = 0;
    }
  }
  return result;
}

function strides(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) steps[axis] = steps[axis + 1]! * shape[axis + 1]!;
  return steps;
}
