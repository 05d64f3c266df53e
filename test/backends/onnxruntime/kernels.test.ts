import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { describe, expect, it, test } from "vitest";
import "../../../src/backends/onnxruntime/index.ts";
import { borrowed } from "../../../src/backends/onnxruntime/kernels/borrowed.ts";
import { kernels } from "../../../src/backends/onnxruntime/kernels/index.ts";
import { missing } from "../../../src/backends/onnxruntime/kernels/missing.ts";

// Every case is computed by tfjs's own "cpu" too, which is right. Beside tfjs-core's own tests: what happens at the edges.

// Of each number, or of `least` where it is smaller. ("cpu" itself has erf within 1e-7, ONNX Runtime sigmoid within 1e-8.)
const tolerance = 2e-6;

async function expectSame(run: () => tf.Tensor | tf.Tensor[], least = 0.02): Promise<void> {
  const [wanted, actual] = [await on("cpu", run), await on("onnxruntime", run)];
  expect(actual.map(({ shape, dtype }) => ({ shape, dtype }))).toEqual(
    wanted.map(({ shape, dtype }) => ({ shape, dtype })),
  );
  for (const [index, { values }] of wanted.entries()) {
    const wrong = [...values]
      .map((value, i) => [value, actual[index]!.values[i]!] as const)
      .filter(([a, b]) => !Object.is(a + 0, b + 0) && !(Math.abs(a - b) <= tolerance * Math.max(least, Math.abs(a))));
    expect(wrong, `wanted [${[...values].slice(0, 40)}]`).toEqual([]);
  }
}

async function on(backend: string, run: () => tf.Tensor | tf.Tensor[]) {
  await tf.setBackend(backend);
  Object.assign(tf.backend(), { firstUse: false }); // "cpu" has a piece of advice otherwise
  const outputs = tf.tidy(() => [run()].flat());
  const results = await Promise.all(
    outputs.map(async (y) => ({ shape: y.shape, dtype: y.dtype, values: Array.from(await y.data()) })),
  );
  tf.dispose(outputs);
  return results;
}

const floats = [NaN, Infinity, -Infinity, 0, -0.5, 0.5, 1, -1, 1.5, 2.5, -2.5, 3, -7, 1e-7, -1e-7, 1e-3, 20, -20, 1e4];
const integers = [0, 1, -1, 2, -2, 3, 7, -7, 100, -100, 46_340, 2 ** 31 - 1, -(2 ** 31)];
const booleans = [true, false];

const pairs = <T>(values: readonly T[]) => [
  values.flatMap((a) => values.map(() => a)),
  values.flatMap(() => [...values]),
];
const numbered = (shape: number[], dtype: "float32" | "int32" = "float32") => {
  const size = tf.util.sizeFromShape(shape);
  return tf.tensor(
    Array.from({ length: size }, (_, i) => ((i * 37) % 23) - 11),
    shape,
    dtype,
  );
};

describe("functions of one number, at its edges", () => {
  const own = { step: (x: tf.Tensor) => tf.step(x, 0.25), leakyRelu: (x: tf.Tensor) => tf.leakyRelu(x, 0.3) };
  const { step, leakyRelu } = own;
  const functions: Record<string, (x: tf.Tensor) => tf.Tensor> = {
    ...{ abs: tf.abs, ceil: tf.ceil, floor: tf.floor, round: tf.round, neg: tf.neg, sign: tf.sign, square: tf.square },
    ...{ exp: tf.exp, expm1: tf.expm1, log: tf.log, log1p: tf.log1p, sqrt: tf.sqrt, rsqrt: tf.rsqrt },
    ...{
      reciprocal: tf.reciprocal,
      sigmoid: tf.sigmoid,
      erf: tf.erf,
      elu: tf.elu,
      selu: tf.selu,
      softplus: tf.softplus,
    },
    ...{ relu: tf.relu, relu6: tf.relu6, isNaN: tf.isNaN, isInf: tf.isInf, isFinite: tf.isFinite, step, leakyRelu },
    ...{ sin: tf.sin, cos: tf.cos, tan: tf.tan, asin: tf.asin, acos: tf.acos, atan: tf.atan, sinh: tf.sinh },
    ...{ cosh: tf.cosh, tanh: tf.tanh, asinh: tf.asinh, acosh: tf.acosh, atanh: tf.atanh },
    clip: (x) => tf.clipByValue(x, -1, 2),
    toInteger: (x) => tf.cast(tf.clipByValue(tf.where(tf.isNaN(x), 0, x), -1e6, 1e6), "int32"),
    toBoolean: (x) => tf.cast(x, "bool"),
    logSoftmaxOfOne: (x) => tf.logSigmoid(x),
  };
  test.each(Object.entries(functions))("%s of floats", async (_, f) => {
    await expectSame(() => f(tf.tensor1d(floats)));
  });
  const whole = ["abs", "neg", "sign", "square", "relu", "relu6", "step", "clip", "toBoolean", "isNaN"];
  test.each(whole)("%s of integers", async (name) => {
    await expectSame(() => functions[name]!(tf.tensor1d(integers.slice(0, 10), "int32")));
  });
});

describe("functions of two numbers, at their edges", () => {
  const functions: Record<string, (a: tf.Tensor, b: tf.Tensor) => tf.Tensor> = {
    ...{ add: tf.add, sub: tf.sub, mul: tf.mul, div: tf.div, maximum: tf.maximum, minimum: tf.minimum, mod: tf.mod },
    ...{ floorDiv: tf.floorDiv, squaredDifference: tf.squaredDifference, prelu: tf.prelu },
    ...{ equal: tf.equal, notEqual: tf.notEqual, greater: tf.greater, greaterEqual: tf.greaterEqual },
    ...{ less: tf.less, lessEqual: tf.lessEqual },
  };
  const { floorDiv, ...exact } = functions; // "cpu" makes integers of the quotients of floats, "wasm" and we do not
  test.each(Object.entries({ ...exact, atan2: tf.atan2 }))("%s of floats", async (_, f) => {
    const [a, b] = pairs(floats) as [number[], number[]];
    await expectSame(() => f(tf.tensor1d(a), tf.tensor1d(b)));
  });
  test("pow of floats", async () => {
    const [a, b] = pairs(floats.filter((x) => Math.abs(x) !== 1)) as [number[], number[]]; // 1 to ∞ is NaN in JavaScript only
    await expectSame(() => tf.pow(tf.tensor1d(a), tf.tensor1d(b)));
  });
  test("floorDiv of floats", async () => {
    const [a, b] = pairs(floats.filter((x) => Number.isFinite(x) && Math.abs(x) >= 0.5)) as [number[], number[]];
    await expectSame(() => tf.cast(tf.floorDiv(tf.tensor1d(a), tf.tensor1d(b)), "int32"));
  });
  const { prelu, ...whole } = functions;
  test.each(Object.entries(whole))("%s of integers", async (_, f) => {
    const [a, b] = pairs(integers.slice(0, 10)) as [number[], number[]];
    await expectSame(() => f(tf.tensor1d(a, "int32"), tf.tensor1d(b, "int32")));
  });
  test("integers divided by 0 and by −1 end nothing", async () => {
    await tf.setBackend("onnxruntime");
    const [a, b] = [tf.tensor1d([5, -(2 ** 31), -(2 ** 31), 0], "int32"), tf.tensor1d([0, -1, 0, 0], "int32")];
    expect([...(await tf.floorDiv(a, b).data())].filter((_, i) => i !== 1)).toEqual([0, 0, 0]);
    expect([...(await tf.mod(a, b).data())]).toEqual([0, 0, 0, 0]);
  });
  const answers = { logicalAnd: tf.logicalAnd, logicalOr: tf.logicalOr, logicalXor: tf.logicalXor };
  const { equal, notEqual, greater, less, greaterEqual, lessEqual } = functions;
  const compared = { equal, notEqual, greater, less, greaterEqual, lessEqual };
  test.each(Object.entries({ ...answers, ...compared }))("%s of booleans", async (_, f) => {
    const [a, b] = pairs(booleans) as [boolean[], boolean[]];
    await expectSame(() => f!(tf.tensor1d(a, "bool"), tf.tensor1d(b, "bool")));
  });
});

describe("reductions", () => {
  const reductions = { sum: tf.sum, mean: tf.mean, prod: tf.prod, max: tf.max, min: tf.min };
  const axes = [undefined, 0, -1, [0, 2], [1]] as (number | number[] | undefined)[];
  const cases = Object.keys(reductions).flatMap((name) => axes.map((axis) => [name, axis] as const));
  test.each(cases)("%s over %s", async (name, axis) => {
    const reduce = reductions[name as keyof typeof reductions];
    await expectSame(() => [
      reduce(tf.div(numbered([2, 3, 4]), 8), axis),
      reduce(numbered([2, 3, 2], "int32"), axis, true),
      reduce(tf.tensor3d([1, NaN, 2, 3, 4, 5], [1, 3, 2]), axis),
    ]);
  });
  it("all, any, argMax and argMin: the first of equals, whatever the axis", async () => {
    const x = () => numbered([3, 30]);
    await expectSame(() => [
      tf.argMax(x(), 1),
      tf.argMax(x(), 0),
      tf.argMin(x(), -1),
      tf.argMin(tf.cast(x(), "int32")),
    ]);
    await expectSame(() => [tf.all(tf.greater(x(), -12), 1), tf.any(tf.greater(x(), 10), 0), tf.all(tf.less(x(), 0))]);
  });
  test.each([[[2 ** 20]], [[3, 2 ** 19]], [[16, 32, 64, 64]], [[1, 65_537]]])(
    "keeps its digits over %j",
    async (shape) => {
      await tf.setBackend("onnxruntime");
      const values = Float32Array.from(
        { length: tf.util.sizeFromShape(shape) },
        (_, i) => ((i * 7919) % 10_007) / 10_007,
      );
      const sum = values.reduce((total, value) => total + value, 0);
      const x = tf.tensor(values, shape);
      expect(Math.abs((await tf.sum(x).data())[0]! / sum - 1)).toBeLessThan(5e-7);
      expect(Math.abs(((await tf.mean(x).data())[0]! * values.length) / sum - 1)).toBeLessThan(5e-7);
    },
  );
  it("nothing sums to 0", async () => {
    await expectSame(() => [tf.sum(tf.zeros([0, 3]), 0), tf.prod(tf.zeros([2, 0]), 1), tf.sum(tf.zeros([0]))]);
  });
});

describe("arrangements", () => {
  it("slices with strides, backwards, masks and a new axis", async () => {
    const x = () => numbered([4, 5, 6]);
    await expectSame(() => [
      tf.stridedSlice(x(), [3, 0, 5], [0, 5, -7], [-1, 2, -2]),
      tf.stridedSlice(x(), [-1, 1, 1], [-5, 4, 4], [-1, 1, 2]),
      tf.stridedSlice(x(), [0, 1, 0], [2, 3, 0], [1, 1, 1], 0, 4, 0, 0, 0),
      tf.stridedSlice(x(), [1, 0, 0], [2, 0, 4], [1, 1, 1], 0, 0, 2, 0, 1),
      tf.stridedSlice(x(), [0, 0, 1], [1, 2, 3], [1, 1, 1], 1, 0, 0, 1, 0),
    ]);
  });
  it("reverses, tiles, mirrors, splits, stacks and pads", async () => {
    const x = (dtype?: "int32") => numbered([2, 3, 4], dtype);
    await expectSame(() => [
      tf.reverse(x(), [0, 2]),
      tf.tile(x("int32"), [2, 1, 3]),
      tf.mirrorPad(
        x(),
        [
          [1, 1],
          [2, 0],
          [3, 2],
        ],
        "reflect",
      ),
      tf.mirrorPad(
        x(),
        [
          [2, 1],
          [3, 3],
          [4, 0],
        ],
        "symmetric",
      ),
      ...tf.split(x(), [1, 0, 3], 2),
      ...tf.unstack(x("int32"), 1),
      tf.stack([x(), x()], 2),
      tf.pad(
        x("int32"),
        [
          [1, 0],
          [0, 2],
          [1, 1],
        ],
        7,
      ),
      tf.pad(
        tf.greater(x(), 0),
        [
          [1, 0],
          [0, 2],
          [1, 1],
        ],
        1,
      ),
      tf.concat([x(), tf.zeros([2, 0, 4]), x()], 1),
    ]);
  });
  it("moves blocks of space to the batch and to the depth, and back", async () => {
    await expectSame(() => [
      tf.spaceToBatchND(
        numbered([2, 5, 4, 3]),
        [3, 2],
        [
          [1, 0],
          [1, 1],
        ],
      ),
      tf.batchToSpaceND(
        numbered([12, 2, 3, 2]),
        [2, 3],
        [
          [1, 0],
          [2, 1],
        ],
      ),
      tf.depthToSpace(numbered([1, 2, 3, 12]) as tf.Tensor4D, 2, "NHWC"),
    ]);
    await tf.setBackend("onnxruntime");
    const last = numbered([1, 2, 3, 12]) as tf.Tensor4D;
    const first = tf.depthToSpace(tf.transpose(last, [0, 3, 1, 2]), 2, "NCHW");
    const wanted = await tf.depthToSpace(last, 2, "NHWC").array();
    expect(await tf.transpose(first, [0, 2, 3, 1]).array()).toEqual(wanted);
  });
});

describe("places", () => {
  it("gathers along any axis, in batches, and by coordinates", async () => {
    const places = () => tf.tensor2d([0, 3, 1, 2, 2, 0], [2, 3], "int32");
    await expectSame(() => [
      tf.gather(numbered([3, 4, 5]), places(), 1),
      tf.gather(numbered([2, 4, 5]), places(), 1, 1),
      tf.gather(numbered([2, 3, 4, 2]), places(), 2, 1),
      tf.gather(tf.greater(numbered([4, 2]), 0), places()),
      tf.gatherND(numbered([3, 4, 5]), tf.tensor2d([0, 3, 2, 1], [2, 2], "int32")),
    ]);
  });
  it("scatters; what comes twice is added", async () => {
    const places = () => tf.tensor2d([4, 1, 4], [3, 1], "int32");
    await expectSame(() => [
      tf.scatterND(places(), numbered([3, 2]), [6, 2]),
      tf.scatterND(places(), numbered([3], "int32"), [6]),
      tf.unsortedSegmentSum(numbered([5, 2]), tf.tensor1d([0, 3, 3, 9, -1], "int32"), 4),
      tf.sparseToDense(tf.tensor2d([0, 1, 2, 0], [2, 2], "int32"), tf.tensor1d([5, 6]), [3, 2], tf.scalar(-1)),
      tf.tensorScatterUpdate(numbered([5, 2]), tf.tensor2d([4, 0], [2, 1], "int32"), numbered([2, 2])),
    ]);
  });
  it("counts, marks and sorts", async () => {
    const places = () => tf.tensor2d([1, 4, 1, 9, 0, 4], [2, 3], "int32");
    await expectSame(() => [
      tf.bincount(tf.tensor1d([1, 4, 1, 9], "int32"), tf.tensor1d([1, 2, 3, 4]), 6),
      tf.denseBincount(places(), tf.tensor2d([1, 2, 3, 4, 5, 6], [2, 3]), 6),
      tf.denseBincount(places(), [], 6, true),
      tf.oneHot(tf.tensor1d([0, 3, -1, 5], "int32"), 4, 2, -2),
      ...Object.values(tf.topk(numbered([2, 30]), 7)),
      tf.searchSorted(tf.tensor2d([1, 2, 2, 5, 0, 1, 1, 1], [2, 4]), tf.tensor2d([2, 9, 1, -1], [2, 2]), "left"),
      tf.searchSorted(tf.tensor2d([1, 2, 2, 5, 0, 1, 1, 1], [2, 4]), tf.tensor2d([2, 9, 1, -1], [2, 2]), "right"),
      tf.diag(numbered([2, 2], "int32")),
    ]);
  });
  it("running sums and products, with and without themselves, from either end", async () => {
    const flags = [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ] as const;
    await expectSame(() =>
      flags.flatMap(([exclusive, reverse]) => [
        tf.cumsum(numbered([3, 7, 2]), 1, exclusive, reverse),
        tf.cumsum(numbered([7], "int32"), 0, exclusive, reverse),
        tf.cumprod(tf.div(numbered([3, 7, 2]), 4), 1, exclusive, reverse),
        tf.cumprod(tf.tensor1d([1, 2, 3, 0, 5, 6], "int32"), 0, exclusive, reverse),
      ]),
    );
  });
  it("chooses by a condition that is broadcast", async () => {
    await expectSame(() => [tf.where(tf.tensor1d([true, false, true], "bool"), numbered([2, 3]), tf.scalar(5))]);
  });
  it("chooses whole rows by a list", async () => {
    await tf.setBackend("onnxruntime");
    const condition = tf.tensor1d([true, false], "bool");
    const inputs = { condition, t: numbered([2, 3], "int32"), e: tf.zeros([2, 3], "int32") };
    const chosen = tf.engine().runKernel("Select", inputs) as tf.Tensor;
    expect(await chosen.array()).toEqual([
      [-11, 3, -6],
      [0, 0, 0],
    ]);
  });
  it("makes ranges", async () => {
    await expectSame(() => [
      tf.range(0, 10, 3),
      tf.range(5, -4, -2, "int32"),
      tf.range(3, 0, 1),
      tf.range(2, 2),
      tf.linspace(-1, 2, 7),
      tf.fill([2, 3], 4, "int32"),
      tf.fill([2], 0.5),
    ]);
  });
});

describe("images", () => {
  const image = () => numbered([2, 6, 7, 3]) as tf.Tensor4D;
  test.each(["bilinear", "nearest"] as const)("crops, %s", async (method) => {
    const boxes = () => tf.tensor2d([0, 0, 1, 1, 0.25, 0.875, 0.75, -0.25, -0.125, 0.25, 1.125, 0.5], [3, 4]);
    const crop = (size: [number, number]) =>
      tf.image.cropAndResize(image(), boxes(), tf.tensor1d([0, 1, 1], "int32"), size, method, 9);
    await expectSame(() => [crop([3, 5]), crop([1, 9]), crop([9, 1])]); // steps that float32 has exactly
  });
  const modes = ["constant", "reflect", "wrap", "nearest"] as const;
  test.each(modes.flatMap((mode) => (["nearest", "bilinear"] as const).map((method) => [mode, method] as const)))(
    "transforms, %s beyond the edge, %s",
    async (mode, method) => {
      const single = () => numbered([1, 6, 7, 3]) as tf.Tensor4D; // tfjs's "cpu" leaves the images after the first black
      const exact = () => tf.tensor2d([1.5, 0.25, -3.375, -0.5, 0.75, 2.125, 0, 0], [1, 8]);
      await expectSame(() => tf.image.transform(single(), exact(), method, mode, 3, [9, 8]));
      if (method === "nearest" || mode === "wrap") return; // at a jump the last digit decides
      const projective = () => tf.tensor2d([1.3, 0.4, -3.2, -0.35, 0.9, 2.1, 0.02, 0.01], [1, 8]);
      await expectSame(() => tf.image.transform(single(), projective(), method, mode, 3, [9, 8]), 11);
    },
  );
  it("rotates and flips", async () => {
    await expectSame(() => [
      tf.image.rotateWithOffset(image(), 0.7, 5, [0.3, 0.6]),
      tf.image.rotateWithOffset(image(), -2, [1, 2, 3]),
      tf.image.flipLeftRight(image()),
    ]);
  });
});

describe("dilation", () => {
  const windows = [
    { strides: 1, pad: "same", dilations: 1 },
    { strides: [2, 1], pad: "valid", dilations: [1, 2] },
    { strides: 2, pad: "same", dilations: 2 },
  ] as const;
  test.each(windows)("%j and its gradients", async (window) => {
    const run = (name: string, inputs: tf.NamedTensorMap) =>
      tf.engine().runKernel(name, inputs, window as unknown as tf.NamedAttrMap) as tf.Tensor;
    await expectSame(() => {
      const [x, filter] = [numbered([2, 7, 6, 3]), tf.div(numbered([3, 2, 3]), 2)];
      const y = run("Dilation2D", { x, filter });
      const gradient = { x, filter, dy: numbered(y.shape) };
      return [y, run("Dilation2DBackpropInput", gradient), run("Dilation2DBackpropFilter", gradient)];
    });
  });
});

describe("draws", () => {
  const draw = (seed: number) => tf.multinomial(tf.tensor2d([0.1, 0.6, 0.3, 0, 1, 0], [2, 3]), 4000, seed, true);
  it("as often as the probabilities say, and the same for a seed", async () => {
    await tf.setBackend("onnxruntime");
    const drawn = await draw(7).array();
    const share = (row: number, event: number) =>
      (drawn as unknown as number[][])[row]!.filter((value) => value === event).length / 4000;
    for (const [event, probability] of [0.1, 0.6, 0.3].entries()) expect(share(0, event)).toBeCloseTo(probability, 1);
    expect(share(1, 1)).toBe(1);
    expect(await draw(7).array()).toEqual(drawn);
    expect(await draw(8).array()).not.toEqual(drawn);
  });
});

describe("what is no graph", () => {
  it("is computed by tfjs's cpu, of what JavaScript has", async () => {
    const boxes = () => tf.tensor2d([0, 0, 4, 4, 0, 1, 4, 5, 5, 5, 9, 9], [3, 4]);
    await expectSame(() => [
      tf.image.nonMaxSuppression(boxes(), tf.tensor1d([0.5, 0.9, 0.3]), 3, 0.4),
      ...Object.values(tf.unique(tf.tensor1d([3, 1, 3, 2], "int32"))),
      ...Object.values(
        tf.sparse.sparseReshape(
          [
            [0, 1],
            [1, 2],
          ],
          [2, 3],
          [3, -1],
        ),
      ),
    ]);
  });
  it("text too", async () => {
    await tf.setBackend("onnxruntime");
    expect(await tf.tensor1d(["a", "ü"]).data()).toEqual(["a", "ü"]);
    const joined = tf.concat([tf.tensor1d(["a"]), tf.tensor1d(["ü", "c"])]);
    expect(await tf.slice(tf.reshape(joined, [3, 1]), [1, 0]).array()).toEqual([["ü"], ["c"]]);
    expect(await tf.equal(joined, tf.fill([3], "c")).data()).toEqual(Uint8Array.of(0, 0, 1));
  });
  it("leaves nothing behind on cpu", async () => {
    await tf.setBackend("onnxruntime");
    const before = tf.findBackend("cpu").numDataIds();
    tf.dispose(tf.unique(tf.tensor1d([1, 1, 2])));
    expect(tf.findBackend("cpu").numDataIds()).toBe(before);
  });
  it("says what to do where JavaScript does not have the numbers", async () => {
    await tf.setBackend("onnxruntime");
    expect(() => tf.unique(tf.square(tf.tensor1d([1, 1, 2])))).toThrow(
      /does not compute Unique: how large its result is depends on the numbers.*`tf\.tensor\(await x\.data\(\), x\.shape\)`/,
    );
  });
});

describe("what is not there", () => {
  it("has a reason, and every other kernel of tfjs is there", () => {
    const names = tf.getKernelsForBackend("cpu").map(({ kernelName }) => kernelName);
    expect(names.filter((name) => !(name in kernels) && !(name in borrowed) && !(name in missing))).toEqual([]);
  });
  it("says which kernel, why, and what to do", async () => {
    await tf.setBackend("onnxruntime");
    expect(() => tf.complex([1], [2])).toThrow(
      /no kernel Complex: there are no complex numbers there.*setBackend\("cpu"\)/,
    );
    expect(() => tf.cast(tf.scalar(1), "complex64")).toThrow(/complex/);
  });
  it("names the import, where what is left to cpu has no cpu", async () => {
    await tf.setBackend("onnxruntime");
    tf.removeBackend("cpu");
    expect(() => tf.unique(tf.tensor1d([1, 1, 2]))).toThrow(/Unique.*`import "@tensorflow\/tfjs-backend-cpu"`/);
    expect(() => tf.slice(tf.tensor1d(["a"]), [0])).toThrow(/Slice: it is about text.*`import/);
  });
});
