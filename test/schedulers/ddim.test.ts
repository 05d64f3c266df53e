import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { DdimScheduler, ddimConfigFrom, type Sampler, startStep } from "../../src/schedulers/index.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

interface Run {
  name: string;
  config: object;
  steps: number;
  arguments: { eta?: number; use_clipped_model_output?: boolean };
  timesteps: number[];
  initNoiseSigma: number;
}

const readJson = (name: string) => JSON.parse(readFileSync(expectedPath(`ddim/${name}.json`), "utf8"));
const open = (config: object) => new DdimScheduler(ddimConfigFrom(config, "scheduler_config.json"));

let source: WeightSource;
beforeAll(async () => {
  source = await openExpected("ddim/steps.safetensors");
});
afterAll(() => source.close());

// torch's float32 square roots are not all rounded correctly, and zero-SNR schedules magnify that: see ddim.py.
const variants = [
  { label: "", parts: "", alphasTolerance: 1e-6, subject: "DDIM, chains of steps" },
  {
    label: ", with roots rounded correctly",
    parts: "rounded.",
    alphasTolerance: 0,
    subject: "DDIM, with roots rounded correctly",
  },
] as const;
const walks = (readJson("runs") as Run[]).flatMap((run) => variants.map((variant) => ({ run, ...variant })));

describe.each(walks)("$run.name, $run.steps steps$label", ({ run, parts, alphasTolerance, subject }) => {
  const scheduler = open(run.config);
  const sampler: Sampler = scheduler.sampler(run.steps);
  const given = (part: string) => readTensor(source, `${run.name}.${part}`);
  const made = (part: string) => readTensor(source, `${run.name}.${parts}${part}`);

  test("the timesteps", () => {
    expect(sampler.timesteps).toEqual(run.timesteps);
    expect(sampler.initNoiseSigma).toBe(run.initNoiseSigma);
  });

  test("the cumulative alphas", async () => {
    const alphas = tf.tensor1d(scheduler.alphasCumprod);
    expect(await relativeError(alphas, await made("alphas_cumprod"))).toBeLessThanOrEqual(alphasTolerance);
  });

  test("the latents after every step, and no tensor left behind", async () => {
    const { eta, use_clipped_model_output: useClippedModelOutput } = run.arguments;
    const outputs = tf.unstack(await given("outputs"));
    const noises = eta === undefined ? [] : tf.unstack(await given("noises"));
    const samples = tf.unstack(await made("samples"));
    let sample = samples[0]!;
    for (const [i, timestep] of sampler.timesteps.entries()) {
      const before = tf.memory().numTensors;
      const modelOutput = outputs[i]!;
      const noise = () => tf.clone(noises[i]!);
      sample = sampler.scaleModelInput(sample, timestep);
      sample = sampler.step({ modelOutput, timestep, sample, eta, useClippedModelOutput, noise });
      expect(tf.memory().numTensors - before).toBe(1);
      expectAccurate(subject, await relativeError(sample, samples[i + 1]!), `step ${i}`);
    }
  });

  test("noise added at the first timestep and at the last", async () => {
    const [original, noise] = [await given("original"), await given("noise")];
    for (const [i, noised] of tf.unstack(await made("noised")).entries()) {
      const timestep = run.timesteps.at(-i)!; // 0: the first, −1: the last
      expectAccurate(subject, await relativeError(sampler.addNoise(original, noise, timestep), noised));
    }
  });
});

test.each(readJson("schedules") as { config: object; sha256: string }[])(
  "the cumulative alphas of 2 to 300 training steps, bit for bit: $config",
  ({ config, sha256 }) => {
    const hash = createHash("sha256");
    for (let count = 2; count <= 300; count++) {
      hash.update(new Uint8Array(open({ ...config, num_train_timesteps: count }).alphasCumprod.buffer));
    }
    expect(hash.digest("hex")).toBe(sha256);
  },
);

describe("timesteps of every number of steps", () => {
  interface Every {
    spacing: string;
    trainTimesteps: number;
    sha256: string;
    longer: number[];
  }

  test.each(readJson("timesteps") as Every[])("$spacing, of $trainTimesteps", ({ spacing, trainTimesteps, sha256 }) => {
    const scheduler = open({ num_train_timesteps: trainTimesteps, timestep_spacing: spacing });
    const hash = createHash("sha256");
    for (let steps = 1; steps <= trainTimesteps; steps++) {
      const { timesteps } = scheduler.sampler(steps);
      expect(timesteps).toHaveLength(steps); // also where diffusers adds a timestep of −1
      hash.update(new Uint8Array(Int32Array.from(timesteps).buffer));
    }
    expect(hash.digest("hex")).toBe(sha256);
  });

  test.each([0, -1, 1.5, 1001, Number.NaN])("%s steps are refused", (steps) => {
    expect(() => open({}).sampler(steps)).toThrow(InputError);
    expect(() => open({}).sampler(steps)).toThrow(`The number of steps is ${steps}`);
  });

  test("an offset past the end of training is refused", () => {
    expect(() => open({ steps_offset: 1 }).sampler(1000)).toThrow("begin at timestep 1000");
  });
});

describe("what cannot be computed is refused", () => {
  const scalar = tf.scalar;

  test("predicted noise where there is nothing but noise", () => {
    const settings = { rescale_betas_zero_snr: true, timestep_spacing: "trailing" };
    expect(() => open(settings).sampler(10)).toThrow(ConfigError);
    expect(() => open(settings).sampler(10)).toThrow(/prediction_type "epsilon".*rescale_betas_zero_snr/);
    expect(open({ ...settings, timestep_spacing: "leading" }).sampler(10).timesteps[0]).toBe(900);
  });

  test.each([-1, 1000, 0.5])("a timestep of %s", (timestep) => {
    const sampler = open({}).sampler(10);
    const step = { modelOutput: scalar(0), sample: scalar(0), timestep };
    expect(() => sampler.step(step)).toThrow(`The timestep is ${timestep}`);
    expect(() => sampler.addNoise(scalar(0), scalar(0), timestep)).toThrow(`The timestep is ${timestep}`);
  });

  test.each([-0.1, 1.1, Number.NaN])("an eta of %s", (eta) => {
    const step = { modelOutput: scalar(0), sample: scalar(0), timestep: 0, eta };
    expect(() => open({}).sampler(10).step(step)).toThrow(`eta is ${eta}: it must be from 0 to 1`);
  });

  test("eta without noise", () => {
    const step = { modelOutput: scalar(0), sample: scalar(0), timestep: 0, eta: 1 };
    expect(() => open({}).sampler(10).step(step)).toThrow("none was given");
  });
});

test("where all of the variance is sigma's, rounding gives no NaN", async () => {
  const scheduler = open({
    ...{ beta_start: 0.00085, beta_end: 0.012, beta_schedule: "scaled_linear", clip_sample: false },
    ...{ prediction_type: "v_prediction", rescale_betas_zero_snr: true, timestep_spacing: "trailing" },
  });
  for (let steps = 1; steps < 100; steps++) {
    const one = tf.ones([1]);
    const step = { modelOutput: one, sample: one, timestep: 999, eta: 1, noise: () => tf.ones([1]) };
    const [value] = await scheduler.sampler(steps).step(step).data();
    expect(value).toSatisfy(Number.isFinite);
  }
});

test("two samplers of one scheduler do not touch each other", async () => {
  const scheduler = open({ clip_sample: false });
  const step = { modelOutput: tf.ones([2]), sample: tf.ones([2]), timestep: 500 };
  const alone = await scheduler.sampler(10).step(step).data();
  const sampler = scheduler.sampler(10);
  scheduler.sampler(50).step(step);
  expect(await sampler.step(step).data()).toEqual(alone);
});

describe("startStep", () => {
  test("is diffusers' first step of image-to-image", () => {
    for (const [steps, strength, first] of readJson("start-steps")) {
      expect(startStep(steps, strength), `${steps} steps, strength ${strength}`).toBe(first);
    }
  });

  test.each([-0.1, 1.1, Number.NaN])("a strength of %s is refused", (strength) => {
    expect(() => startStep(40, strength)).toThrow(`The strength is ${strength}`);
  });

  test("a strength that leaves no step is refused", () => {
    expect(() => startStep(40, 0.02)).toThrow(InputError);
    expect(() => startStep(40, 0)).toThrow("leaves none of 40 steps");
  });
});
