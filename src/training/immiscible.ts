/**
 * Noise, dealt out anew within a batch so that each picture gets some that is near: Li et al., "Immiscible diffusion:
 * accelerating diffusion training with noise assignment" (2024), algorithm 1. All noise stays normal; what falls away is that
 * every picture is mixed into every noise.
 * @param latents of B pictures, one after the other
 * @param noise as much
 */
export function assignNoise(latents: Float32Array, noise: Float32Array, batch: number): Float32Array<ArrayBuffer> {
  const size = latents.length / batch;
  const part = (all: Float32Array, i: number) => all.subarray(i * size, (i + 1) * size);
  const rows = Array.from({ length: batch }, (_, i) => i);
  const costs = rows.map((i) => rows.map((j) => distance(part(latents, i), part(noise, j))));
  const assigned = new Float32Array(latents.length);
  for (const [i, j] of minimalAssignment(costs).entries()) assigned.set(part(noise, j), i * size);
  return assigned;
}

function distance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
}

/**
 * To each row of a square matrix a column of its own, so that the sum of their costs is the smallest: the Hungarian method
 * (Kuhn 1955) by shortest augmenting paths (Jonker and Volgenant 1987), as scipy's linear_sum_assignment. n³ operations.
 */
export function minimalAssignment(costs: readonly (readonly number[])[]): number[] {
  const n = costs.length;
  // Prices of rows and columns, none of which exceed a cost together. Column n stands for "not assigned yet".
  const [rowPrice, columnPrice] = [new Float64Array(n), new Float64Array(n + 1)];
  const rowOf = new Int32Array(n + 1).fill(-1);
  for (let row = 0; row < n; row++) {
    const cheapest = new Float64Array(n).fill(Number.POSITIVE_INFINITY);
    const before = new Int32Array(n); // the column that a path comes from
    const visited = new Uint8Array(n + 1);
    let column = n;
    rowOf[n] = row;
    // Dijkstra's algorithm over reduced costs, from the new row to a column that is free.
    while (rowOf[column]! >= 0) {
      visited[column] = 1;
      const i = rowOf[column]!;
      let [step, next] = [Number.POSITIVE_INFINITY, -1];
      for (let j = 0; j < n; j++) {
        if (visited[j]) continue;
        const reduced = costs[i]![j]! - rowPrice[i]! - columnPrice[j]!;
        if (reduced < cheapest[j]!) [cheapest[j], before[j]] = [reduced, column];
        if (cheapest[j]! < step) [step, next] = [cheapest[j]!, j];
      }
      for (let j = 0; j <= n; j++) {
        if (visited[j]) {
          rowPrice[rowOf[j]!]! += step;
          columnPrice[j]! -= step;
        } else cheapest[j]! -= step;
      }
      column = next;
    }
    // Along the path every column goes to the row of the one before.
    while (column !== n) {
      rowOf[column] = rowOf[before[column]!]!;
      column = before[column]!;
    }
  }
  const assigned = new Array<number>(n);
  for (let j = 0; j < n; j++) assigned[rowOf[j]!] = j;
  return assigned;
}
