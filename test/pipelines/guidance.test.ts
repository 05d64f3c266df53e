import { readFileSync } from "node:fs";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { classifierFreeGuidance, rescaleGuidance } from "../../src/pipelines/guidance.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

interface Case {
  name: string;
  scale: number;
  phi: number;
}

const cases: Case[] = JSON.parse(readFileSync(expectedPath("guidance/cases.json"), "utf8"));
let source: WeightSource;
beforeAll(async () => {
  source = await openExpected("guidance/guidance.safetensors");
});
afterAll(() => source.close());

describe.each(cases)("$name", ({ name, scale, phi }) => {
  const tensor = (part: string) => readTensor(source, `${name}.${part}`, "nhwc");

  test("classifierFreeGuidance", async () => {
    const guided = classifierFreeGuidance(await tensor("unconditional"), await tensor("conditional"), scale);
    expectAccurate("guidance", await relativeError(guided, await tensor("guided")));
  });

  test("rescaleGuidance", async () => {
    const rescaled = rescaleGuidance(await tensor("guided"), await tensor("conditional"), phi);
    expectAccurate("guidance", await relativeError(rescaled, await tensor("rescaled")));
  });
});

test("a prediction that is the same everywhere is left as it is", async () => {
  const constant = tf.fill([1, 5, 7, 3], 0.1);
  const varied = tf.randomNormal([1, 5, 7, 3], 0, 1, "float32", 1);
  const guided = tf.concat([constant, varied]);
  const conditional = tf.concat([varied, varied]);
  const rescaled = rescaleGuidance(guided, conditional, 0.7);
  expectAccurate("guidance", await relativeError(rescaled, guided));
});

test("nothing but the result is left", async () => {
  const [unconditional, conditional] = [
    await readTensor(source, "likes.unconditional"),
    await readTensor(source, "likes.conditional"),
  ];
  const before = tf.memory().numTensors;
  rescaleGuidance(classifierFreeGuidance(unconditional, conditional, 5), conditional, 0.7);
  expect(tf.memory().numTensors - before).toBe(2);
});
