import { existsSync } from "node:fs";
import { readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { decodePng } from "../../src/image/index.ts";
import { parameters } from "../../src/layers/index.ts";
import type { TrainingConfig } from "../../src/training/config.ts";
import { type LogEntry, readLog } from "../../src/training/log.ts";
import { train } from "../../src/training/run.ts";
import { openSafetensors, toFloat32 } from "../../src/weights/index.ts";
import { ToyTask, toyConfig, toyData } from "./toy.ts";

/** What came of the steps, without what differs each time. */
function figures(entries: readonly LogEntry[]) {
  return entries.map(({ seconds, ...entry }) => entry);
}

/** Trains until a step is done, as if Ctrl-C were pressed then. */
async function trainUntil(config: TrainingConfig, step: number): Promise<string[]> {
  const controller = new AbortController();
  const notes: string[] = [];
  const onStep = (entry: LogEntry) => entry.step === step && controller.abort(new Error("stopped"));
  const running = train(config, new ToyTask(), toyData, {
    signal: controller.signal,
    onStep,
    onNote: (text) => notes.push(text),
  });
  if (step < 11) await expect(running).rejects.toThrow("stopped");
  else await running;
  return notes;
}

async function weightsIn(path: string): Promise<Record<string, number[]>> {
  const source = await openSafetensors(path);
  const entries: [string, number[]][] = [];
  for (const [name, { dtype }] of source.entries) entries.push([name, [...toFloat32(await source.read(name), dtype)]]);
  await source.close();
  return Object.fromEntries(entries);
}

describe("a training", () => {
  it("learns, and leaves its log, its plot, its samples and the model's folder", async () => {
    const config = await toyConfig({
      stages: [{ steps: 300, batch: 16, learningRate: 0.02, sizes: [[8, 8]] }],
      checkpointEvery: 100,
      sampleEvery: 150,
    });
    const task = new ToyTask();
    await train(config, task, toyData);
    const log = await readLog(join(config.output, "log.jsonl"));
    expect(log.map(({ step }) => step)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1));
    expect(log[0]).toMatchObject({ stage: 1, learningRate: 0.02 });
    expect(log.at(-1)!.loss).toBeLessThan(log[0]!.loss / 4);
    expect((await readdir(config.output)).sort()).toEqual([
      "checkpoint-00000200.safetensors",
      "checkpoint-00000300.safetensors",
      "log.jsonl",
      "loss.png",
      "samples",
      "toy",
    ]);
    expect(await readdir(join(config.output, "samples"))).toEqual(["00000150.png", "00000300.png"]);
    expect(decodePng(await readFile(join(config.output, "loss.png")), "").picture.width).toBe(880);

    const weights = await weightsIn(join(config.output, "toy/model.safetensors"));
    const checkpoint = await weightsIn(join(config.output, "checkpoint-00000300.safetensors"));
    for (const [name, { value }] of parameters(task.models.toy)) {
      expect(weights[name], name).toEqual(checkpoint[`ema.toy.${name}`]);
      expect([...(await value.data())], name).toEqual(checkpoint[`weights.toy.${name}`]);
    }
  });

  it("keeps the checkpoint of each stage's end, and the last two", async () => {
    const stage = { batch: 4, learningRate: 0.02, sizes: [[8, 8]] };
    const config = await toyConfig({
      stages: [5, 2, 5].map((steps) => ({ ...stage, steps })),
      checkpointEvery: 2,
    });
    await train(config, new ToyTask(), toyData);
    const names = (await readdir(config.output)).filter((name) => name.startsWith("checkpoint"));
    expect(names.map((name) => Number(name.match(/\d+/)![0])).sort((a, b) => a - b)).toEqual([5, 7, 10, 12]);
  });

  it.each([1, 3, 4, 5, 6, 7, 10])(
    "that is stopped after step %d goes on to the same losses and weights",
    async (step) => {
      const [whole, cut] = [await toyConfig(), await toyConfig()];
      await trainUntil(whole, 11);
      const [stopped] = (await trainUntil(cut, step)).slice(-1);
      expect(stopped).toBe(`The checkpoint of step ${step} is kept: the same command goes on from there.`);
      const [goneOn] = await trainUntil(cut, 11);
      expect(goneOn).toContain(`Going on after step ${step} of 11`);
      const [a, b] = await Promise.all([whole, cut].map(({ output }) => readLog(join(output, "log.jsonl"))));
      expect(figures(b!)).toEqual(figures(a!));
      const last = "checkpoint-00000011.safetensors";
      expect(await weightsIn(join(cut.output, last))).toEqual(await weightsIn(join(whole.output, last)));
    },
  );

  it("of which nothing is left but the older checkpoint goes on from that", async () => {
    const config = await toyConfig({ checkpointEvery: 2 });
    await trainUntil(config, 11);
    const whole = figures(await readLog(join(config.output, "log.jsonl")));
    await truncate(join(config.output, "checkpoint-00000011.safetensors"), 3000);
    const [damaged, goneOn] = await trainUntil(config, 11);
    expect(damaged).toContain("checkpoint-00000011.safetensors can't be read as safetensors");
    expect(goneOn).toContain("Going on after step 10 of 11");
    expect(figures(await readLog(join(config.output, "log.jsonl")))).toEqual(whole);
  });

  it("that is done says so, and writes the models again", async () => {
    const config = await toyConfig();
    await trainUntil(config, 11);
    const path = join(config.output, "toy/model.safetensors");
    const before = await readFile(path);
    await writeFile(path, "");
    expect((await trainUntil(config, 11)).at(-1)).toBe("All 11 steps were done before.");
    expect(await readFile(path)).toEqual(before);
  });

  it("holds as many tensors after a hundred steps as after ten", async () => {
    const config = await toyConfig({
      stages: [{ steps: 100, batch: 4, accumulate: 2, learningRate: 0.01, sizes: [[8, 8]] }],
      sampleEvery: 20,
      checkpointEvery: 20,
    });
    const before = tf.memory().numTensors;
    const task = new ToyTask();
    const weights = tf.memory().numTensors - before;
    const counts: number[] = [];
    await train(config, task, toyData, { onStep: () => counts.push(tf.memory().numTensors - before) });
    expect(new Set(counts.slice(9))).toEqual(new Set([4 * weights])); // the weights, their two moments, their average
    expect(tf.memory().numTensors - before).toBe(weights);
  });

  it("averages the gradients of the batches that it accumulates", async () => {
    const stage = { steps: 3, learningRate: 0.01, sizes: [[8, 8]] };
    const data = { ...toyData, training: { ...toyData.training, length: 1 } };
    const losses: number[][] = [];
    for (const sizes of [{ batch: 8 }, { batch: 4, accumulate: 2 }]) {
      const config = await toyConfig({ stages: [{ ...stage, ...sizes }] });
      await train(config, new ToyTask(), data);
      losses.push((await readLog(join(config.output, "log.jsonl"))).flatMap(({ loss, norm }) => [loss, norm]));
    }
    for (const [i, value] of losses[0]!.entries()) expect(losses[1]![i]).toBeCloseTo(value, 6);
  });
});

describe("what goes wrong", () => {
  it("is a loss that is no number: the last good checkpoint stays", async () => {
    const stage = { batch: 4, learningRate: 0.01, sizes: [[8, 8]] };
    const config = await toyConfig({
      checkpointEvery: 2,
      stages: [
        { ...stage, steps: 5 },
        { ...stage, steps: 5, scale: 1e38 },
      ],
    });
    const running = train(config, new ToyTask(), toyData);
    await expect(running).rejects.toThrow(/^In step 6 .*the training has diverged\. Lower "learningRate"/);
    const [newest] = (await readdir(config.output)).filter((name) => name.startsWith("checkpoint")).slice(-1);
    expect(newest).toBe("checkpoint-00000005.safetensors"); // the end of the first stage
    const weights = await weightsIn(join(config.output, newest!));
    expect(Object.values(weights).flat().every(Number.isFinite)).toBe(true);
  });

  it("is a picture that can't be read: what was trained until then is kept", async () => {
    const config = await toyConfig();
    let reads = 0;
    const { training } = toyData;
    const read: typeof training.read = (...asked) => {
      if (++reads > 9) throw new Error("damaged");
      return training.read(...asked);
    };
    await expect(train(config, new ToyTask(), { ...toyData, training: { ...training, read } })).rejects.toThrow(
      "damaged",
    );
    expect(existsSync(join(config.output, "checkpoint-00000002.safetensors"))).toBe(true);
  });

  it("is a checkpoint of another configuration, other data or another model", async () => {
    const config = await toyConfig();
    await trainUntil(config, 7);
    const [first, second] = config.stages as [TrainingConfig["stages"][0], TrainingConfig["stages"][0]];
    const other = { ...config, seed: 4, clipNorm: 2, stages: [{ ...first, batch: 5 }, second] };
    await expect(train(other, new ToyTask(), toyData)).rejects.toThrow(
      /checkpoint-00000007\.safetensors is of a training with another configuration: "seed", "clipNorm", "stages\.0\.batch" differ\. Give another "output"/,
    );
    await expect(
      train(config, new ToyTask(), { ...toyData, training: { ...toyData.training, length: 11 } }),
    ).rejects.toThrow("is of a training on 10 pictures, and the data have 11 now.");
    const shorter = { ...config, stages: [{ ...first, steps: 3 }] };
    await expect(train(shorter, new ToyTask(), toyData)).rejects.toThrow('"stages.0.steps", "stages.1');
  });

  it("is not what lies ahead: it may be changed", async () => {
    const config = await toyConfig();
    await trainUntil(config, 4);
    const [first, second] = config.stages as [TrainingConfig["stages"][0], TrainingConfig["stages"][0]];
    const longer = {
      ...config,
      checkpointEvery: 3,
      stages: [
        { ...first, steps: 5 },
        { ...second, steps: 6, batch: 3 },
      ],
    };
    await trainUntil(longer, 11);
    expect((await readLog(join(config.output, "log.jsonl"))).at(-1)).toMatchObject({ step: 11, stage: 2 });
  });
});
