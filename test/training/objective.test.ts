import type * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DdimScheduler, ddimConfigFrom } from "../../src/schedulers/index.ts";
import { addNoise, minSnrWeights, targetOf } from "../../src/training/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { numbers } from "../helpers/formula.ts";

const schedule = { beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear" };

let expected: WeightSource;
beforeAll(async () => {
  expected = await openExpected("training/objectives.safetensors");
});
afterAll(() => expected.close());

describe.each([
  ["plain", false],
  ["zero_snr", true],
] as const)("with the noise schedule %s", (name, rescale) => {
  const config = ddimConfigFrom({ ...schedule, rescale_betas_zero_snr: rescale }, "scheduler");
  const { alphasCumprod } = new DdimScheduler(config);
  const [original, noise] = [() => numbers("original", 6, 2, 3, 4), () => numbers("noise", 6, 2, 3, 4)];
  let alphas: number[];
  beforeAll(async () => {
    const times = await (await readTensor(expected, "times")).data();
    alphas = [...times].map((time) => alphasCumprod[time]!);
  });
  const expectNear = async (actual: tf.Tensor, part: string) =>
    expect(await relativeError(actual, await readTensor(expected, `${name}.${part}`))).toBeLessThanOrEqual(1e-6);

  test("noise is added, and is what epsilon asks for", async () => {
    const e = noise();
    await expectNear(addNoise(original(), e, alphas), "noisy");
    expect(targetOf("epsilon", original(), e, alphas)).toBe(e);
  });

  test("velocities are diffusers'", async () => {
    await expectNear(targetOf("v_prediction", original(), noise(), alphas), "velocity");
  });

  test.each(["v", "epsilon"] as const)("Min-SNR weights of %s are the paper's", async (what) => {
    const weights = minSnrWeights(what === "v" ? "v_prediction" : what, alphas, 5);
    const wanted = await (await readTensor(expected, `${name}.weights_${what}`)).data();
    for (const [i, weight] of weights.entries()) {
      // Where nothing is left of the picture the formula of epsilon gives 0 / 0; its limit is 1.
      const value = Number.isNaN(wanted[i]) ? 1 : wanted[i]!;
      expect(Math.abs(weight - value)).toBeLessThanOrEqual(1e-5 * value);
    }
    expect(rescale && what === "v" ? weights.at(-1) : 0).toBe(0);
  });
});
