import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryError } from "../../src/errors.ts";
import { type GenerateOptions, openPipeline, type Pipeline } from "../../src/pipelines/index.ts";
import { planResidency } from "../../src/pipelines/memory.ts";

// What makes a pipeline fit to live in a server.

const small: GenerateOptions = { prompt: "花", seed: 1, width: 64, height: 64, steps: 3 };

let pipeline: Pipeline;
let tensors: number;
beforeEach(async () => {
  tensors = tf.memory().numTensors;
  pipeline = await openPipeline("weights/tiny");
});
afterEach(async () => {
  await pipeline.dispose();
  expect(tf.memory().numTensors).toBe(tensors);
});

describe("two calls at once", () => {
  test("work one after the other, in the order in which they began, each to its own picture", async () => {
    const alone = [await pipeline.run(small), await pipeline.run({ ...small, seed: 2 })];
    const ended: string[] = [];
    const together = await Promise.all([
      pipeline.run(small).finally(() => ended.push("first")),
      pipeline.run({ ...small, seed: 2 }).finally(() => ended.push("second")),
    ]);
    expect(ended).toEqual(["first", "second"]);
    expect(together.map(({ images }) => images[0]!.data)).toEqual(alone.map(({ images }) => images[0]!.data));
  });

  test("one that is aborted while it waits gives its place up, and the next still gets its turn", async () => {
    const controller = new AbortController();
    const [first, second, third] = [
      pipeline.run(small),
      pipeline.run({ ...small, signal: controller.signal }),
      pipeline.run(small),
    ];
    controller.abort(new Error("not wanted any more"));
    await expect(second).rejects.toThrow("not wanted any more");
    expect((await first).images[0]!.data).toEqual((await third).images[0]!.data);
  });

  test("of two pipelines take turns too, each on the backend that it was opened for", async () => {
    const tiny = { ...small, width: 32, height: 32, steps: 1, similarityCheck: false };
    const here = tf.getBackend();
    const other = await openPipeline("weights/tiny", { backend: here === "cpu" ? "wasm" : "cpu" });
    const alone = await pipeline.run(tiny);
    const active: string[] = [];
    const note = () => active.push(tf.getBackend());
    const [first, second, third] = await Promise.all([
      pipeline.run({ ...tiny, onProgress: note }),
      other.run({ ...tiny, onProgress: note }),
      pipeline.run({ ...tiny, onProgress: note }),
    ]);
    expect(first.images[0]!.data).toEqual(alone.images[0]!.data);
    expect(third.images[0]!.data).toEqual(alone.images[0]!.data);
    expect(
      Math.max(...second.images[0]!.data.map((value, i) => Math.abs(value - alone.images[0]!.data[i]!))),
    ).toBeLessThan(2);
    const changes = active.filter((name, i) => name !== active[i - 1]);
    expect(changes).toEqual([here, here === "cpu" ? "wasm" : "cpu", here]);
    await other.dispose();
  });

  test("one whose caller stops early makes room for the next", async () => {
    for await (const { step } of pipeline.generate(small)) if (step === 1) break;
    expect((await pipeline.run(small)).images).toHaveLength(1);
  });
});

test("the event loop turns while a picture is made, between the stages of every model", async () => {
  let turns = 0;
  let isRunning = true;
  const turn = (): void => {
    turns++;
    if (isRunning) setImmediate(turn);
  };
  turn();
  await pipeline.run(small);
  isRunning = false;
  expect(turns).toBeGreaterThan(100); // the tiny UNet alone has 33 stages, and runs three times
});

describe("an abort", () => {
  test("within a step ends the call with the signal's reason, and frees what the step had made", async () => {
    await pipeline.run(small); // loads the weights
    const before = tf.memory().numTensors;
    const controller = new AbortController();
    let stages = 0;
    const onProgress = ({ task }: { task: string }) => {
      if (task === "denoising" && ++stages === 30) controller.abort(new Error("stop"));
    };
    await expect(pipeline.run({ ...small, signal: controller.signal, onProgress })).rejects.toThrow("stop");
    expect(stages).toBe(30);
    expect(tf.memory().numTensors).toBe(before);
  });

  test("before the beginning loads nothing", async () => {
    const loaded: string[] = [];
    const run = pipeline.run({
      ...small,
      signal: AbortSignal.abort(new Error("no")),
      onProgress: ({ task }) => loaded.push(task),
    });
    await expect(run).rejects.toThrow("no");
    expect(loaded).toEqual([]);
  });
});

test("progress is told from 0 to all of every task, in the order of the work", async () => {
  const seen = new Map<string, number[]>();
  await pipeline.run({
    ...small,
    onProgress: ({ task, done, total }) => seen.set(task, [...(seen.get(task) ?? []), done / total]),
  });
  expect([...seen.keys()]).toEqual([
    ...["reading text_encoder", "reading unet", "denoising", "reading vae", "decoding"],
    ...["reading character_detector", "checking similarity"],
  ]);
  for (const [task, parts] of seen) {
    expect(parts.at(-1), task).toBe(1);
    expect(parts, task).toEqual([...parts].sort((a, b) => a - b));
  }
});

describe("memory", () => {
  const phases = [
    { name: "The text_encoder", weights: 1e9, streamed: 1e9, working: 1e8 },
    { name: "The unet", weights: 5e9, streamed: 2e9, working: 2e9 },
    { name: "The vae", weights: 1e8, streamed: 4e7, working: 3e9 },
  ];
  test.each([
    [9.2e9, "all"],
    [9.0e9, "one at a time"],
    [7.0e9, "one at a time"],
    [6.9e9, "block by block"],
    [4.0e9, "block by block"],
  ])("of %d bytes: %s", (bytes, residency) => {
    expect(planResidency(phases, { bytes, words: "are free" }, "try less")).toBe(residency);
  });

  test("that is too small for the largest block of a model is a sentence, before anything is loaded", () => {
    const plan = () => planResidency(phases, { bytes: 3.9e9, words: "are free" }, "try a smaller picture");
    expect(plan).toThrow(MemoryError);
    expect(plan).toThrow(
      "The unet needs 4.0 GB (2.0 GB of them for the largest block of its weights), 3.9 GB are free; try a smaller picture.",
    );
  });

  test("of a backend that leaves weights in their files is not spared by reading them block by block", () => {
    const mapped = phases.map((phase) => ({ ...phase, streamed: phase.weights }));
    const plan = () => planResidency(mapped, { bytes: 6e9, words: "are free" }, "try a smaller picture");
    expect(plan).toThrow("The unet needs 7.0 GB (5.0 GB of them for its weights), 6.0 GB are free;");
  });

  test("many pictures that would not fit together are refused too", async () => {
    await expect(pipeline.run({ ...small, width: 2048, height: 2048, numImages: 2000 })).rejects.toThrow(
      /fewer pictures/,
    );
  });

  test("a picture that would not fit is refused before anything is read", async () => {
    const tasks: string[] = [];
    const run = pipeline.run({ ...small, width: 16_384, height: 16_384, onProgress: ({ task }) => tasks.push(task) });
    await expect(run).rejects.toThrow(MemoryError);
    await expect(run).rejects.toThrow(tf.getBackend() === "wasm" ? "WebAssembly's addresses have 32 bits" : "are free");
    expect(tasks).toEqual([]);
  });
});
