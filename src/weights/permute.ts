/** The lengths in the order of `axes`: axis i of the result is axis `axes[i]` of what is given. */
export function permuted<T>(values: readonly T[], axes: readonly number[]): T[] {
  return axes.map((axis) => values[axis]!);
}

/** The axes that undo `axes`. */
export function inverse(axes: readonly number[]): number[] {
  return axes.map((_, axis) => axes.indexOf(axis));
}

/** Numbers of the result's last axis that are copied together: 64 places to read from stay in the cache. */
const run = 64;

/**
 * Turns the axes of an array of any shape: the result's axis i is axis `axes[i]` of `values`. Where no axis moves,
 * `values` itself is returned.
 */
export function permute(values: Float32Array, shape: readonly number[], axes: readonly number[]): Float32Array {
  if (axes.every((axis, i) => axis === i)) return values;
  const lengths = permuted(shape, axes);
  const reads = permuted(strides(shape), axes);
  const writes = strides(lengths);
  const last = lengths.length - 1;
  // Of the other axes, the one that lies closest together in `values` turns fastest: no line of it is fetched twice.
  const others = lengths.map((_, axis) => axis).slice(0, last);
  others.sort((a, b) => reads[b]! - reads[a]!);

  const result = new Float32Array(values.length);
  const copy = (depth: number, first: number, from: number, to: number): void => {
    const axis = others[depth];
    if (axis !== undefined) {
      for (let i = 0; i < lengths[axis]!; i++) copy(depth + 1, first, from + i * reads[axis]!, to + i * writes[axis]!);
      return;
    }
    const end = Math.min(first + run, lengths[last]!);
    const step = reads[last]!;
    for (let i = first; i < end; i++) result[to + i] = values[from + i * step]!;
  };
  for (let first = 0; first < lengths[last]!; first += run) copy(0, first, 0, 0);
  return result;
}

function strides(shape: readonly number[]): number[] {
  const steps = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) steps[axis] = steps[axis + 1]! * shape[axis + 1]!;
  return steps;
}
