import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "../../src/backends/index.ts";
import { speedUpWasmMatMul } from "../../src/backends/wasm-matmul.ts";
import { registerGradients } from "../../src/training/gradients.ts";

beforeAll(() => useBackend("wasm"));

interface Case {
  a: number[];
  b: number[];
  transposeA?: boolean;
  transposeB?: boolean;
}

/** By the definition, each sum in 64 bits. */
function product(x: tf.Tensor, y: tf.Tensor, { transposeA = false, transposeB = false }: Case) {
  const batch = tf.broadcast_util.assertAndGetBroadcastShape(x.shape.slice(0, -2), y.shape.slice(0, -2));
  const [rows, columns] = [x.shape.at(transposeA ? -1 : -2)!, y.shape.at(transposeB ? -2 : -1)!];
  const inner = x.shape.at(transposeA ? -2 : -1)!;
  const [left, right] = [x, y].map((factor) =>
    tf.broadcastTo(factor, [...batch, ...factor.shape.slice(-2)]).dataSync(),
  );
  const values: number[] = [];
  for (let i = 0; i < tf.util.sizeFromShape(batch); i++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let k = 0; k < inner; k++) {
          const inLeft = transposeA ? k * rows + row : row * inner + k;
          const inRight = transposeB ? column * inner + k : k * columns + column;
          sum += left![i * rows * inner + inLeft]! * right![i * inner * columns + inRight]!;
        }
        values.push(sum);
      }
    }
  }
  return { shape: [...batch, rows, columns], values };
}

function relativeError(actual: ArrayLike<number>, expected: number[]): number {
  let [difference, largest] = [0, 0];
  for (const [i, value] of expected.entries()) {
    if (!Number.isFinite(actual[i])) return Number.POSITIVE_INFINITY;
    difference = Math.max(difference, Math.abs(actual[i]! - value));
    largest = Math.max(largest, Math.abs(value));
  }
  return difference / largest;
}

const flip = (shape: number[], isFlipped: boolean) =>
  isFlipped ? shape.toSpliced(-2, 2, shape.at(-1)!, shape.at(-2)!) : shape;

// [rows, inner, columns] of what models multiply, and of what lies beside it.
const sizes: Record<string, [a: number[], b: number[]]> = {
  "linear, many rows": [
    [300, 64],
    [64, 96],
  ],
  "linear, few rows": [
    [5, 192],
    [192, 320],
  ],
  "linear, one row": [
    [1, 320],
    [320, 200],
  ],
  "one column": [
    [200, 320],
    [320, 1],
  ],
  "one term": [
    [70, 1],
    [1, 50],
  ],
  "scores of 5 heads": [
    [2, 5, 64, 40],
    [2, 5, 40, 77],
  ],
  "scores of a long text": [
    [1, 2, 200, 160],
    [1, 2, 160, 300],
  ],
  windows: [
    [40, 49, 32],
    [40, 32, 49],
  ],
  "values of windows": [
    [40, 49, 49],
    [40, 49, 32],
  ],
  "tiny ones": [
    [50, 3, 4],
    [50, 4, 2],
  ],
  "a number": [
    [1, 1],
    [1, 1],
  ],
  "a batch times one matrix": [
    [3, 2, 20, 48],
    [48, 64],
  ],
  "one matrix times a batch": [
    [20, 48],
    [3, 48, 64],
  ],
  "batches that broadcast both ways": [
    [2, 1, 24, 32],
    [3, 32, 40],
  ],
  "batches that broadcast within": [
    [2, 3, 24, 32],
    [2, 1, 32, 40],
  ],
  "tiny batches that broadcast within": [
    [2, 3, 2, 3],
    [2, 1, 3, 2],
  ],
  "more axes": [
    [2, 1, 3, 1, 18, 20],
    [4, 1, 2, 20, 22],
  ],
};

describe("matMul on wasm", () => {
  for (const [name, [left, right]] of Object.entries(sizes)) {
    for (const [transposeA, transposeB] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const) {
      it(`${name}: ${transposeA ? "aᵀ" : "a"} ${transposeB ? "bᵀ" : "b"}`, () => {
        const one: Case = { a: flip(left, transposeA), b: flip(right, transposeB), transposeA, transposeB };
        tf.tidy(() => {
          const [a, b] = [tf.randomNormal(one.a, 0, 1, "float32", 1), tf.randomNormal(one.b, 0, 1, "float32", 2)];
          const before = tf.memory().numTensors;
          const result = tf.matMul(a, b, transposeA, transposeB);
          expect(tf.memory().numTensors).toBe(before + 1);
          const { shape, values } = product(a, b, one);
          expect(result.shape).toEqual(shape);
          expect(relativeError(result.dataSync(), values)).toBeLessThan(1e-6);
        });
      });
    }
  }

  it("gives nothing of nothing", () => {
    expect(tf.matMul(tf.zeros([0, 40]), tf.zeros([30, 40]), false, true).shape).toEqual([0, 30]);
    expect(tf.matMul(tf.zeros([2, 0, 40]), tf.zeros([2, 30, 40]), false, true).shape).toEqual([2, 0, 30]);
  });

  it("refuses sizes that do not match", () => {
    expect(() => tf.matMul(tf.zeros([40, 50]), tf.zeros([40, 50]))).toThrow(/inner shapes/);
  });

  it("gives the gradients of both factors", async () => {
    await registerGradients();
    const [a, b] = [tf.randomNormal([4, 30, 40], 0, 1, "float32", 1), tf.randomNormal([4, 50, 40], 0, 1, "float32", 2)];
    const weight = tf.randomNormal([4, 30, 50], 0, 1, "float32", 3);
    const loss = (x: tf.Tensor, y: tf.Tensor) => tf.sum(tf.mul(tf.matMul(x, y, false, true), weight)) as tf.Scalar;
    const [ofA, ofB] = tf.grads(loss)([a, b]) as [tf.Tensor, tf.Tensor];
    const one = { a: weight.shape, b: b.shape };
    expect(relativeError(ofA.dataSync(), product(weight, b, one).values)).toBeLessThan(1e-6);
    const expected = product(weight, a, { a: weight.shape, b: a.shape, transposeA: true }).values;
    expect(relativeError(ofB.dataSync(), expected)).toBeLessThan(1e-6);
  });

  it("follows weights that change", () => {
    const x = tf.randomNormal([64, 128], 0, 1, "float32", 1);
    const weight = tf.variable(tf.randomNormal([96, 128], 0, 1, "float32", 2));
    const once = tf.matMul(x, weight, false, true).dataSync();
    weight.assign(tf.mul(weight, 2));
    expect(tf.matMul(x, weight, false, true).dataSync()).toEqual(once.map((value) => 2 * value));
  });

  it("is there once, however often it is asked for", () => {
    const { kernelFunc } = tf.getKernel("BatchMatMul", "wasm");
    speedUpWasmMatMul();
    expect(tf.getKernel("BatchMatMul", "wasm").kernelFunc).toBe(kernelFunc);
  });

  it("leaves no memory behind, nor a packed copy of a weight", () => {
    const heap = () => (tf.backend() as unknown as { wasm: { HEAPU8: Uint8Array } }).wasm.HEAPU8.length;
    const [q, k, v] = [tf.ones([8, 60, 40]), tf.ones([8, 77, 40]), tf.ones([8, 77, 40])];
    const x = tf.ones([16, 512]);
    const step = (weight: tf.Tensor) =>
      tf.tidy(() => {
        tf.matMul(x, weight, false, true);
        tf.matMul(tf.matMul(q, k, false, true), v);
        tf.matMul(q, tf.ones([8, 60, 50]), true, false);
      });
    const weights = Array.from({ length: 80 }, () => tf.ones([512, 512])); // 1 MiB each
    step(weights[0]!);
    const [before, tensors] = [heap(), tf.memory().numTensors];
    for (let i = 0; i < 1000; i++) step(weights[i % weights.length]!);
    expect(heap() - before).toBeLessThan(32 * 2 ** 20); // packed copies of all would take 80 MiB
    expect(tf.memory().numTensors).toBe(tensors);
    tf.dispose([weights, q, k, v, x]);
  });

  it("is much faster than tfjs's plain loop, for transposed weights and for batches", () => {
    const [x, weight] = [tf.ones([512, 512]), tf.ones([512, 512])];
    const [q, k] = [tf.ones([8, 512, 64]), tf.ones([8, 512, 64])];
    const milliseconds = (run: () => tf.Tensor) => {
      const times = Array.from({ length: 5 }, () => {
        const start = performance.now();
        run().dispose();
        return performance.now() - start;
      });
      return Math.min(...times);
    };
    const single = milliseconds(() => tf.matMul(x, weight)); // XNNPACK, the weight packed already
    // The plain loop takes 10 times as long and more. 4 leaves room for a busy machine.
    expect(milliseconds(() => tf.matMul(x, weight, false, true)) / single).toBeLessThan(4);
    expect(milliseconds(() => tf.matMul(q, k, false, true)) / single).toBeLessThan(4);
  });
});
