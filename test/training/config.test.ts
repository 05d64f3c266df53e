import { describe, expect, it } from "vitest";
import { differences, stageOf, totalSteps, trainingConfigFrom } from "../../src/training/config.ts";
import { toyKind } from "./toy.ts";

const stage = { steps: 10, batch: 4, learningRate: 0.01, sizes: [[64, 64]] };
const json = { task: "toy", model: { toy: "toy" }, data: { folder: "data" }, output: "out", stages: [stage] };
const read = (changes: object = {}) => trainingConfigFrom({ ...json, ...changes }, "c.json", { toy: toyKind });

describe("the configuration of a training", () => {
  it("has defaults for all that need not be said", () => {
    expect(read()).toEqual({
      task: "toy",
      model: { toy: "toy" },
      data: { folder: "data", crop: "center", longCaptions: "refuse" },
      output: "out",
      seed: 0,
      stages: [{ ...stage, accumulate: 1, warmUp: 0, end: "constant", options: { last: false, scale: 1 } }],
      weightDecay: 0.01,
      betas: [0.9, 0.999],
      clipNorm: 1,
      ema: { decay: 0.999 },
      checkpointEvery: 500,
      sampleEvery: 500,
      samples: 16,
    });
  });

  it.each([
    [{ task: "vea" }, 'c.json: the field "task" is "vea"; it must be "toy".'],
    [{ model: undefined }, 'c.json, "model": the field "toy" is missing.'],
    [{ model: { toy: "toy", vae: "x" } }, 'c.json, "model": the field "vae" is not supported (its value is "x").'],
    [{ data: { folder: "a", seed: 1 } }, 'c.json, "data": the field "seed" is not supported (its value is 1).'],
    [{ data: { scenes: { seed: 1 } } }, 'c.json, "data": the field "scenes.count" is missing.'],
    [{ data: undefined }, 'c.json, "data": the field "folder" is missing.'],
    [{ stages: [] }, "it must have at least one stage"],
    [{ stages: [{ ...stage, steps: 0 }] }, 'c.json, "stages.0": the field "steps" is 0, which is not supported'],
    [{ stages: [stage, { ...stage, sizes: [] }] }, 'c.json, "stages.1": the field "sizes" is []'],
    [{ stages: [{ ...stage, drop: 1 }] }, 'c.json, "stages.0": the field "drop" is not supported (its value is 1).'],
    [{ stages: [{ ...stage, last: 1 }] }, 'c.json, "stages.0": the field "last" is 1'],
    [{ learningRate: 1 }, 'c.json: the field "learningRate" is not supported'],
    [{ ema: { decay: 1 } }, 'c.json: the field "ema.decay" is 1, which is not supported: it must be under 1.'],
  ])("is refused where it is wrong: %j", (changes, message) => {
    expect(() => read(changes)).toThrow(message);
  });
});

describe("stages", () => {
  it("follow one another", () => {
    const config = read({ stages: [stage, { ...stage, steps: 5 }] });
    expect(totalSteps(config)).toBe(15);
    expect([0, 9, 10, 14].map((step) => stageOf(config, step)).map(({ index, before }) => [index, before])).toEqual([
      [0, 0],
      [0, 9],
      [1, 0],
      [1, 4],
    ]);
  });
});

describe("two configurations", () => {
  const before = read({ stages: [stage, stage] });
  it.each([
    ["in what is done", 15, { stages: [{ ...stage, batch: 5 }, stage] }, ["stages.0.batch"]],
    ["in a field of the task", 15, { stages: [stage, { ...stage, last: true }] }, ["stages.1.last"]],
    [
      "in the steps of a stage that is over",
      15,
      { stages: [{ ...stage, steps: 9 }, stage] },
      ["stages.0.steps", "stages.1.steps"],
    ],
    ["not in what lies ahead", 10, { stages: [stage, { ...stage, batch: 5 }, stage] }, []],
    ["not in the steps of the stage that is going on", 15, { stages: [stage, { ...stage, steps: 50 }] }, []],
    ["not in where and how often files are written", 15, { stages: [stage, stage], output: "b", sampleEvery: 1 }, []],
    [
      "in the steps of a rate that falls",
      15,
      { stages: [stage, { ...stage, end: "cosine" }] },
      ["stages.1.steps", "stages.1.end"],
    ],
    ["in other fields", 15, { stages: [stage, stage], ema: null }, ["ema.decay", "ema"]],
  ])("differ %s", (_, step, changes, fields) => {
    expect(differences(before, read(changes), step)).toEqual(fields);
  });
});
