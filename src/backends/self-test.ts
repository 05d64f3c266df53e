import * as tf from "@tensorflow/tfjs-core";
import { type BackendName, memoryLimit, useBackend } from "./choose.ts";

/** What a backend does on this machine. */
export type BackendReport =
  | {
      name: BackendName;
      works: true;
      version: string;
      /** Thousand millions of floating-point operations in a second, a multiply–add counted as two. */
      matMulGflops: number;
      conv2dGflops: number;
      /** Bytes that it can hold at most; null where that is all the memory there is. */
      memoryLimit: number | null;
    }
  | { name: BackendName; works: false; reason: string };

/** Loads a backend, checks it against numbers worked out in JavaScript, and measures it. It stays the active one. */
export async function selfTest(name: BackendName): Promise<BackendReport> {
  try {
    const version = await useBackend(name);
    const wrong = (await hasRightProduct()) ? ((await hasRightConvolution()) ? "" : "convolution") : "matrix product";
    if (wrong) return { name, works: false, reason: `It loads (${version}), but a ${wrong} comes out wrong.` };
    const limit = memoryLimit(name);
    return {
      name,
      works: true,
      version,
      matMulGflops: await gflops(2 * 256 ** 3, [256, 256], [256, 256], (a, b) => tf.matMul(a, b)),
      conv2dGflops: await gflops(2 * 32 * 32 * 9 * 64 * 64, [1, 32, 32, 64], [3, 3, 64, 64], (x, filter) =>
        tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, "same"),
      ),
      memoryLimit: Number.isFinite(limit) ? limit : null,
    };
  } catch (error) {
    return { name, works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Small whole numbers, so that every order of addition gives the same sum. */
function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => ((i * 7) % 11) - 5);
}

async function hasRightProduct(): Promise<boolean> {
  const [rows, inner, columns] = [5, 33, 7];
  const [a, b] = [numbers(rows * inner), numbers(inner * columns)];
  const expected = Array.from({ length: rows * columns }, (_, at) => {
    const [row, column] = [Math.floor(at / columns), at % columns];
    return sum(inner, (i) => a[row * inner + i]! * b[i * columns + column]!);
  });
  return isEqual(() => tf.matMul(tf.tensor2d(a, [rows, inner]), tf.tensor2d(b, [inner, columns])), expected);
}

async function hasRightConvolution(): Promise<boolean> {
  const [side, inChannels, outChannels, kernel] = [6, 5, 3, 3];
  const outSide = side - kernel + 1;
  const x = numbers(side * side * inChannels);
  const filter = numbers(kernel * kernel * inChannels * outChannels);
  const expected = Array.from({ length: outSide * outSide * outChannels }, (_, at) => {
    const [channel, cell] = [at % outChannels, Math.floor(at / outChannels)];
    const [row, column] = [Math.floor(cell / outSide), cell % outSide];
    return sum(kernel * kernel * inChannels, (i) => {
      const [inChannel, tap] = [i % inChannels, Math.floor(i / inChannels)];
      const [y, z] = [row + Math.floor(tap / kernel), column + (tap % kernel)];
      return x[(y * side + z) * inChannels + inChannel]! * filter[i * outChannels + channel]!;
    });
  });
  return isEqual(
    () =>
      tf.conv2d(
        tf.tensor4d(x, [1, side, side, inChannels]),
        tf.tensor4d(filter, [kernel, kernel, inChannels, outChannels]),
        1,
        "valid",
      ),
    expected,
  );
}

function sum(count: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < count; i++) total += term(i);
  return total;
}

async function isEqual(compute: () => tf.Tensor, expected: readonly number[]): Promise<boolean> {
  const result = tf.tidy(compute);
  const values = await result.data();
  result.dispose();
  return expected.length === values.length && expected.every((value, i) => value === values[i]);
}

const measured = 200; // milliseconds

async function gflops(
  operations: number,
  left: number[],
  right: number[],
  compute: (a: tf.Tensor, b: tf.Tensor) => tf.Tensor,
): Promise<number> {
  const [a, b] = [tf.fill(left, 0.5), tf.fill(right, 0.25)];
  const once = async (): Promise<void> => {
    const result = compute(a, b);
    await result.data();
    result.dispose();
  };
  await once(); // the first run compiles and allocates
  const start = performance.now();
  let runs = 0;
  while (performance.now() - start < measured) {
    await once();
    runs++;
  }
  tf.dispose([a, b]);
  return (runs * operations) / (performance.now() - start) / 1e6;
}
