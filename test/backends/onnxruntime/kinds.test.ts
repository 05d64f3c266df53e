import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { backendName, OnnxRuntimeBackend, type OnnxRuntimeOptions } from "../../../src/backends/onnxruntime/index.ts";
import { Conv2d, Layer, Linear, parameters, runStages } from "../../../src/layers/index.ts";
import { UNet, unetConfigFrom } from "../../../src/models/index.ts";
import { registerGradients } from "../../../src/training/gradients.ts";
import { fromFloat32, loadWeights, openSafetensors, writeSafetensors } from "../../../src/weights/index.ts";
import { numbers } from "../../helpers/on-both.ts";

beforeAll(registerGradients);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "kinds-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function newBackend(options?: OnnxRuntimeOptions): Promise<OnnxRuntimeBackend> {
  if (tf.findBackendFactory(backendName)) tf.removeBackend(backendName);
  tf.registerBackend(backendName, () => new OnnxRuntimeBackend(options), 3);
  await tf.setBackend(backendName);
  return tf.backend() as OnnxRuntimeBackend;
}

/** With enough weights that they stay in their file. */
class Large<M extends Layer> extends Layer<[], tf.Tensor> {
  model: M;
  rest = new Linear(2048, 2560);

  constructor(model: M) {
    super();
    this.model = model;
  }

  protected override forward(): tf.Tensor {
    return tf.zeros([]);
  }
}

/** A model whose weights are in a file and stay there. */
async function mapped<M extends Layer>(model: M): Promise<M> {
  const large = new Large(model);
  const path = join(folder, "model.safetensors");
  const tensors = Array.from(parameters(large), ([name, { shape }], seed) => {
    const size = shape.reduce((product, length) => product * length, 1);
    const scale = shape.length > 1 ? Math.sqrt(shape[0]! / size) : 0.1;
    const values = Float32Array.from({ length: size }, (_, i) => scale * Math.sin(i * (i + seed)));
    return { name, shape, dtype: "F32", pieces: () => [fromFloat32(values, "F32")] } as const;
  });
  await writeSafetensors(path, tensors);
  const source = await openSafetensors(path);
  await loadWeights(large, source);
  await source.close();
  return model;
}

describe("the kinds of session", () => {
  it("agree within 1e-5 on the tiny UNet", async () => {
    const backend = await newBackend();
    const where = "weights/tiny/unet/config.json";
    const unet = await mapped(new UNet(unetConfigFrom(JSON.parse(await readFile(where, "utf8")), where)));
    const latents = numbers([1, 32, 32, 8], 1) as tf.Tensor4D;
    const context = numbers([1, 64, 32], 2) as tf.Tensor3D;
    const conditions = { pooled: numbers([1, 32], 3) as tf.Tensor2D, timeIds: [[256, 256, 0, 0, 256, 256]] };
    const forward = async () => {
      const y = await runStages(unet.stages(latents, 500, context, conditions));
      const values = await y.data();
      y.dispose();
      return values;
    };
    const unpacked = await forward();
    expect((await backend.counts()).packed).toBe(0);
    let packed = unpacked;
    for (let run = 0; run < 300 && (await backend.counts()).packed === 0; run++) packed = await forward();
    expect((await backend.counts()).packed).toBe(1);

    const largest = Math.max(...unpacked.map(Math.abs));
    const difference = Math.max(...unpacked.map((value, i) => Math.abs(value - packed[i]!)));
    expect(largest).toBeGreaterThan(0.01);
    expect(difference / largest).toBeLessThan(1e-5);
  });
});

describe("training", () => {
  interface State {
    filter: number[];
    optimizer: number[][];
  }

  /** Trains one filter on top of one that is in a file, on a backend of its own. */
  async function train(steps: number, from?: State): Promise<State> {
    const backend = await newBackend();
    const frozen = await mapped(new Conv2d(32, 32, { kernel: 3, padding: 1 }));
    const filter = tf.variable(
      from ? tf.tensor4d(from.filter, [3, 3, 32, 32]) : (tf.mul(numbers([3, 3, 32, 32], 5), 0.05) as tf.Tensor4D),
    );
    const optimizer = tf.train.momentum(0.5, 0.9); // Adam of tfjs finds its own powers again but for the last bits
    if (from) {
      const moments = from.optimizer.slice(1).map((values) => tf.tensor4d(values, [3, 3, 32, 32]));
      await optimizer.setWeights([
        { name: "iter", tensor: tf.scalar(from.optimizer[0]![0]!, "int32") },
        ...moments.map((tensor) => ({ name: "accumulation", tensor })),
      ]);
    }
    const x = numbers([4, 24, 24, 32], 1) as tf.Tensor4D;
    for (let step = 0; step < steps; step++) {
      tf.tidy(() => {
        const loss = () => {
          const h = tf.tanh(tf.conv2d(tf.tanh(frozen.apply(x)) as tf.Tensor4D, filter, 1, "same"));
          return tf.mean(tf.square(tf.sub(h, x))) as tf.Scalar;
        };
        optimizer.minimize(loss, false, [filter]);
      });
      await backend.flush([filter]);
    }
    expect((await backend.counts()).packed).toBe(0);
    const weights = await optimizer.getWeights();
    return {
      filter: [...(await filter.data())],
      optimizer: await Promise.all(weights.map(async ({ tensor }) => [...(await tensor.data())])),
    };
  }

  it("that is resumed on a new backend gives the same bits", async () => {
    const whole = await train(60);
    const half = await train(30);
    expect(half.filter).not.toEqual(whole.filter);
    const resumed = await train(30, half);
    expect(resumed.filter).toEqual(whole.filter);
    expect(resumed.optimizer).toEqual(whole.optimizer);
  });
});

describe("sessions", () => {
  it("hold no more than they may, and graphs that lost theirs get new ones", async () => {
    const backend = await newBackend({ maxSessionBytes: 1e6 });
    const x = tf.tensor1d([0.5]);
    const chain = async (length: number) => {
      const y = tf.tidy(() => Array.from({ length }).reduce<tf.Tensor>((h) => tf.neg(h), x));
      const [value] = await y.data();
      y.dispose();
      return value;
    };
    for (let length = 1; length <= 60; length++) expect(await chain(length)).toBe(length % 2 ? -0.5 : 0.5);
    const { sessions, sessionBytes } = await backend.counts();
    expect(sessionBytes).toBeLessThanOrEqual(1e6);
    expect(sessions).toBeGreaterThan(0);
    expect(sessions).toBeLessThan(10);
    expect(await chain(1)).toBe(-0.5);
  });
});
