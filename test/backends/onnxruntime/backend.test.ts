import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ints } from "../../../src/backends/onnxruntime/build.ts";
import { record } from "../../../src/backends/onnxruntime/graph.ts";
import { backendName, type OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import type { Counts } from "../../../src/backends/onnxruntime/protocol.ts";
import { runStages, type Stages } from "../../../src/layers/index.ts";

let backend: OnnxRuntimeBackend;

beforeAll(async () => {
  await tf.setBackend(backendName);
  backend = tf.backend() as OnnxRuntimeBackend;
});

let tensorsBefore: number;
let idsBefore: number;
beforeEach(() => {
  tensorsBefore = tf.memory().numTensors;
  idsBefore = backend.numDataIds();
});

// Whatever a test did, nothing of it is left: neither with tfjs, nor here, nor in the worker.
afterEach(async () => {
  expect(tf.memory().numTensors).toBe(tensorsBefore);
  expect(backend.numDataIds()).toBe(idsBefore);
  expect((await backend.counts()).values).toBe(0);
});

describe("what is recorded", () => {
  it("is computed when it is read", async () => {
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const y = tf.tidy(() => tf.transpose(tf.sub(tf.mul(x, 2), 1)));
    expect(await y.array()).toEqual([
      [1, 5],
      [3, 7],
    ]);
    tf.dispose([x, y]);
  });

  it("is a chain of any length", async () => {
    const sum = tf.tidy(() => {
      let total = tf.scalar(0);
      for (let i = 0; i < 100_000; i++) total = tf.add(total, 1);
      return total;
    });
    expect(await sum.array()).toBe(100_000);
    sum.dispose();
  });

  it("is computed once for two reads", async () => {
    const x = tf.tensor1d([1, 2]);
    const shared = tf.tidy(() => tf.exp(tf.mul(x, 3)));
    const [a, b] = [tf.add(shared, 1), tf.add(shared, 2)];
    await a.data();
    const { values } = await backend.counts();
    await b.data(); // adds to `shared`, which the worker has
    const after = await backend.counts();
    expect(after.values - values).toBe(1); // b, and not x · 3 again
    tf.dispose([x, shared, a, b]);
  });

  it("is forgotten where nobody reads it", async () => {
    const x = tf.tensor1d([1, 2]);
    const y = tf.tidy(() => tf.exp(tf.add(x, 1)));
    tf.dispose([x, y]);
  });

  it("holds what it needs after that was disposed", async () => {
    const x = tf.tensor1d([1, 2]);
    const y = tf.add(x, 1);
    const z = tf.mul(y, y);
    x.dispose();
    y.dispose();
    expect(await z.array()).toEqual([4, 9]);
    z.dispose();
  });

  it("is let go where a kernel records more than it returns", async () => {
    const x = tf.tensor2d([1, 2, 3, 4], [2, 2]);
    const y = tf.tidy(() => tf.transpose(tf.transpose(x)));
    expect(await y.array()).toEqual([
      [1, 2],
      [3, 4],
    ]);
    tf.dispose([x, y]);
  });
});

describe("reads", () => {
  it("may be many at a time", async () => {
    const x = tf.tensor1d([1, 2, 3]);
    const all = Array.from({ length: 50 }, (_, i) => tf.tidy(() => tf.mul(tf.add(x, i), 2)));
    const read = await Promise.all(all.map((y) => y.array()));
    expect(read).toEqual(all.map((_, i) => [2 * (1 + i), 2 * (2 + i), 2 * (3 + i)]));
    tf.dispose([x, ...all]);
  });

  it("go on when the tensor is disposed meanwhile", async () => {
    const x = tf.tensor1d([1, 2, 3]);
    const y = tf.add(x, 1);
    const reading = y.data();
    tf.dispose([x, y]);
    expect([...(await reading)]).toEqual([2, 3, 4]);
  });

  it("without waiting are refused, with the way out", () => {
    const x = tf.tensor1d([1, 2]);
    const y = tf.add(x, 1);
    expect(() => y.dataSync()).toThrow("use `await tensor.data()`");
    expect([...x.dataSync()]).toEqual([1, 2]); // what came from JavaScript is still here
    tf.dispose([x, y]);
  });
});

describe("what fails", () => {
  it("says so when it is read, and names the kernel", async () => {
    const x = tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    const wrong = backend.call(
      "Wrong",
      ({ x: node }) => record("Reshape", [node, ints([4, 4])], [{ type: "float32", shape: [4, 4] }])[0]!,
      { inputs: { x } },
    ) as tf.TensorInfo;
    const y = tf.engine().makeTensorFromTensorInfo(wrong);
    const z = tf.add(y, 1);
    await expect(z.data()).rejects.toThrow(/Wrong\/0/);
    await expect(y.data()).rejects.toThrow(/Wrong\/0/);
    const right = tf.neg(x);
    expect([...(await right.data())]).toEqual([-1, -2, -3, -4, -5, -6]);
    tf.dispose([x, y, z, right]);
  });
});

describe("a variable", () => {
  it("takes new values again and again without anything left behind", async () => {
    const v = tf.tidy(() => tf.variable(tf.tensor1d([0, 0])));
    for (let step = 0; step < 300; step++) {
      tf.tidy(() => v.assign(tf.add(v, 1)));
      if (step % 100 === 99) await v.data();
    }
    expect(await v.array()).toEqual([300, 300]);
    expect((await backend.counts()).values).toBe(1);
    v.dispose();
  });
});

describe("a long computation in stages", () => {
  /** Each of 100 GFLOP and more. */
  function* stages(x: tf.Tensor2D, count: number): Stages<tf.Tensor2D> {
    let h: tf.Tensor2D = tf.clone(x);
    for (let stage = 0; stage < count; stage++) {
      yield [h];
      for (let i = 0; i < 15; i++) h = tf.matMul(h, x);
    }
    return h;
  }

  it("is computed while it goes on, and ends when it is told to", async () => {
    const x = tf.tidy(() => tf.fill([1536, 1536], 1 / 1536)) as tf.Tensor2D;
    await x.data();
    const abort = new AbortController();
    const counts: Promise<Counts>[] = [];
    const running = runStages(stages(x, 100), {
      signal: abort.signal,
      onStage: (stage) => {
        if (stage === 3) abort.abort();
        counts.push(backend.counts());
      },
    });
    await expect(running).rejects.toThrow("abort");
    // The thread answers in order, but the last answer may come after the run has ended: so all are waited for.
    const values = (await Promise.all(counts)).map(({ values }) => values);
    expect(values).toEqual([1, 1, 2]); // x, and from the third on what the first stage with work in it computed
    x.dispose();
  });
});

describe("nothing is kept", () => {
  it("over 2,000 small graphs", async () => {
    const x = tf.tensor1d([1, 2, 3]);
    for (let i = 0; i < 2000; i++) {
      const y = tf.tidy(() => tf.mul(tf.add(x, i), 2));
      await y.data();
      y.dispose();
    }
    expect((await backend.counts()).values).toBe(1); // x
    x.dispose();
  });
});
