import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { contrastiveLoss, Similarity } from "../../src/training/contrastive.ts";
import { registerGradients } from "../../src/training/index.ts";
import { klDivergence } from "../../src/training/kl.ts";
import { foundLabels, multiLabelLoss } from "../../src/training/multi-label.ts";
import { haar, waveletLoss } from "../../src/training/wavelet-loss.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { openExpected, readTensor, relativeError } from "../helpers/expected.ts";

beforeAll(registerGradients);

const read = (source: WeightSource, name: string) =>
  readTensor(source, name, source.entries.get(name)?.shape.length === 4 ? "nhwc" : undefined);

interface Case {
  /** The names of what the loss is differentiated by, in the order in which it takes them. */
  inputs: string[];
  /** What else it takes, after them. */
  constants?: string[];
  loss: (...tensors: tf.Tensor[]) => tf.Scalar;
}

const cases: Record<string, Case> = {
  wavelet: { inputs: ["error"], loss: (error) => waveletLoss(error as tf.Tensor4D, 3) },
  kl: {
    inputs: ["mean", "logvar"],
    loss: (mean, logvar) => klDivergence({ mean: mean as tf.Tensor4D, logvar: logvar as tf.Tensor4D }),
  },
  contrastive: {
    inputs: ["pictures", "texts", "logit_scale"],
    constants: ["same"],
    loss: (pictures, texts, scale, same) => {
      const similarity = new Similarity();
      similarity.logitScale.lend(scale!);
      return contrastiveLoss(similarity.apply(pictures as tf.Tensor2D, texts as tf.Tensor2D), same as tf.Tensor2D);
    },
  },
  multi_label: {
    inputs: ["input"],
    constants: ["target"],
    loss: (logits, targets) => multiLabelLoss(logits as tf.Tensor2D, targets as tf.Tensor2D),
  },
};

describe.each(Object.entries(cases))("%s", (file, { inputs, constants = [], loss }) => {
  it("is PyTorch's, and so are its gradients", async () => {
    const source = await openExpected(`training_losses/${file}.safetensors`);
    const given = await Promise.all(inputs.map((name) => read(source, name)));
    const fixed = await Promise.all(constants.map((name) => read(source, name)));
    const { value, grads } = tf.valueAndGrads((...x: tf.Tensor[]) => loss(...x, ...fixed))(given);
    expect(await relativeError(value, await read(source, "loss"))).toBeLessThanOrEqual(1e-5);
    for (const [i, gradient] of grads.entries()) {
      const error = await relativeError(gradient, await read(source, `gradient.${inputs[i]}`));
      expect(error, inputs[i]).toBeLessThanOrEqual(1e-5);
    }
    await source.close();
  });
});

it("Haar's bands are those of convolutions with a stride of 2", async () => {
  const source = await openExpected("training_losses/wavelet.safetensors");
  const { coarse, details } = haar((await read(source, "error")) as tf.Tensor4D);
  for (const [i, band] of [coarse, ...details].entries()) {
    expect(await relativeError(band, await read(source, `haar.${i}`))).toBeLessThanOrEqual(1e-6);
  }
  await source.close();
});

it("a learned factor counts up to 100", async () => {
  const similarity = new Similarity();
  similarity.logitScale.assign(tf.scalar(10));
  const x = tf.tensor2d([[3, 4]]);
  expect((await similarity.apply(x, x).data())[0]).toBeCloseTo(100, 3);
});

describe("found labels", () => {
  it("are counted over pictures and labels together", () => {
    const found = foundLabels([true, true, false, false, true], [true, false, true, false, true]);
    expect(found).toEqual({ precision: 2 / 3, recall: 2 / 3, f1: 2 / 3 });
  });

  it("are all right where there were none and none was said", () => {
    expect(foundLabels([false], [false])).toEqual({ precision: 1, recall: 1, f1: 1 });
  });
});
