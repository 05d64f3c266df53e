import { InputError } from "../errors.ts";

/**
 * The singular values of a matrix of m rows of n numbers, descending, in float64: Golub and Kahan's reduction to two diagonals, of
 * which the implicit QL algorithm finds the values. Golub and Van Loan, "Matrix Computations" (4th edition), sections 5.4.8,
 * 8.3.3 and 8.6.1. Each is exact to about the rounding error of the largest.
 *
 * @throws InputError where a number is not finite
 */
export function singularValues(matrix: readonly Float64Array[]): Float64Array {
  if (!matrix.every((row) => row.every(Number.isFinite))) {
    throw new InputError("A matrix whose numbers are not all finite has no singular values.");
  }
  const rows = matrix.length < (matrix[0]?.length ?? 0) ? transpose(matrix) : matrix.map((row) => row.slice());
  const entries = bidiagonal(rows);
  // The matrix with zeros on its diagonal, and these beside it, has the singular values and their negatives as eigenvalues.
  const count = rows[0]?.length ?? 0;
  const eigenvalues = implicitQl(new Float64Array(2 * count), Float64Array.from([...entries, 0]));
  return eigenvalues.sort().reverse().slice(0, count);
}

function transpose(matrix: readonly Float64Array[]): Float64Array[] {
  return Array.from(matrix[0]!, (_, j) => Float64Array.from(matrix, (row) => row[j]!));
}

/**
 * The diagonal of n numbers and the one above it, in turns: d₁ e₁ d₂ e₂ … dₙ. The matrix has at least as many rows as columns, and
 * is overwritten.
 */
function bidiagonal(a: readonly Float64Array[]): number[] {
  const columns = a[0]?.length ?? 0;
  const entries: number[] = [];
  for (let k = 0; k < columns; k++) {
    const below = a.slice(k);
    const v = Float64Array.from(below, (row) => row[k]!);
    entries.push(reflect(v));
    const products = new Float64Array(columns - k - 1); // vᵀ A
    for (const [i, row] of below.entries()) addScaled(products, row.subarray(k + 1), v[i]!);
    for (const [i, row] of below.entries()) addScaled(row.subarray(k + 1), products, -v[i]!);
    if (k === columns - 1) break;

    const u = a[k]!.slice(k + 1);
    entries.push(reflect(u));
    for (const row of a.slice(k + 1)) addScaled(row.subarray(k + 1), u, -dot(row.subarray(k + 1), u));
  }
  return entries;
}

/**
 * Makes of x the vector v, with vᵀv = 2 or v = 0, whose reflection I − v vᵀ leaves nothing of x but its first entry, which is
 * returned.
 */
function reflect(x: Float64Array): number {
  if (x.subarray(1).every((value) => value === 0)) {
    const kept = x[0]!;
    x.fill(0);
    return kept;
  }
  const scale = x.reduce((most, value) => Math.max(most, Math.abs(value)), 0); // keeps squares from vanishing
  for (let i = 0; i < x.length; i++) x[i]! /= scale;
  const norm = -Math.sign(x[0]! || 1) * Math.sqrt(dot(x, x));
  x[0]! -= norm;
  const length = Math.sqrt(dot(x, x) / 2);
  for (let i = 0; i < x.length; i++) x[i]! /= length;
  return norm * scale;
}

/** The eigenvalues of a symmetric matrix of three diagonals: d, and e, whose entry i is between i and i + 1. Overwrites both. */
function implicitQl(d: Float64Array, e: Float64Array): Float64Array {
  const largest = e.reduce((most, value, i) => Math.max(most, Math.abs(value) + Math.abs(d[i]!)), 0);
  const end = (from: number) => {
    let to = from;
    while (to < d.length - 1 && Math.abs(e[to]!) > Number.EPSILON * largest) to++;
    return to;
  };
  for (let from = 0; from < d.length; from++) {
    for (let to = end(from); to > from; to = end(from)) qlStep(d, e, from, to);
  }
  return d;
}

/** One sweep of rotations over a block that hangs together, with Wilkinson's shift. */
function qlStep(d: Float64Array, e: Float64Array, from: number, to: number): void {
  const slope = (d[from + 1]! - d[from]!) / (2 * e[from]!);
  let g = d[to]! - d[from]! + e[from]! / (slope + Math.sign(slope || 1) * Math.hypot(slope, 1));
  let [sine, cosine, shift] = [1, 1, 0];
  for (let i = to - 1; i >= from; i--) {
    const f = sine * e[i]!;
    const b = cosine * e[i]!;
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      d[i + 1]! -= shift; // the block has come apart
      e[to] = 0;
      return;
    }
    [sine, cosine] = [f / r, g / r];
    g = d[i + 1]! - shift;
    const t = (d[i]! - g) * sine + 2 * cosine * b;
    shift = sine * t;
    d[i + 1] = g + shift;
    g = cosine * t - b;
  }
  d[from]! -= shift;
  e[from] = g;
  e[to] = 0;
}

export function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function addScaled(to: Float64Array, from: Float64Array, factor: number): void {
  for (let i = 0; i < to.length; i++) to[i]! += factor * from[i]!;
}
