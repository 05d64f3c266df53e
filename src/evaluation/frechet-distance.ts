import { InputError } from "../errors.ts";
import type { FeatureStatistics } from "./feature-moments.ts";
import { addScaled, dot, singularValues } from "./singular-values.ts";

/**
 * The Fréchet distance between two normal distributions, |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 √(C₁ C₂)): Dowson and Landau (1982). With
 * features of pictures it is the FID of Heusel et al., "GANs trained by a two time-scale update rule" (2017).
 *
 * pytorch-fid takes scipy's square root of C₁ C₂, which is not symmetric, and adds 1e-6 to both diagonals where that fails. Here
 * C₁ = L₁ L₁ᵀ and C₂ = L₂ L₂ᵀ, and the trace is the sum of the singular values of L₁ᵀ L₂, whose squares are C₁ C₂'s eigenvalues.
 * With fewer pictures than dimensions the factors have fewer columns, no more: nothing has to be added to a diagonal, and no
 * digits are lost to roots of what should be zeros.
 *
 * @throws InputError where the features are not of one kind
 */
export function frechetDistance(a: FeatureStatistics, b: FeatureStatistics): number {
  const n = a.mean.length;
  if (b.mean.length !== n) {
    throw new InputError(
      `Features of ${n} and of ${b.mean.length} numbers can't be compared: take one model for both.`,
    );
  }
  const [first, second] = [pivotedCholesky(a.covariance, n), pivotedCholesky(b.covariance, n)];
  const between = singularValues(first.map((column) => Float64Array.from(second, (other) => dot(column, other))));
  const root = between.reduce((sum, value) => sum + value, 0);
  const apart = a.mean.reduce((sum, value, i) => sum + (value - b.mean[i]!) ** 2, 0);
  return apart + trace(a.covariance, n) + trace(b.covariance, n) - 2 * root;
}

/**
 * The columns of L with L Lᵀ = C, as many as C's rank: Higham, "Accuracy and Stability of Numerical Algorithms" (2nd edition),
 * section 10.3. It ends where the largest pivot left is rounding.
 */
function pivotedCholesky(covariance: Float64Array, n: number): Float64Array[] {
  const columns: Float64Array[] = [];
  const left = Float64Array.from({ length: n }, (_, i) => covariance[i * n + i]!);
  const limit = n * Number.EPSILON * Math.max(...left);
  while (columns.length < n) {
    const largest = Math.max(...left);
    if (!(largest > limit)) break;
    const pivot = left.indexOf(largest);
    const column = covariance.slice(pivot * n, pivot * n + n);
    for (const earlier of columns) addScaled(column, earlier, -earlier[pivot]!);
    const root = Math.sqrt(largest);
    for (let i = 0; i < n; i++) {
      column[i]! /= root;
      left[i]! -= column[i]! ** 2;
    }
    left[pivot] = 0;
    columns.push(column);
  }
  return columns;
}

function trace(matrix: Float64Array, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += matrix[i * n + i]!;
  return sum;
}
