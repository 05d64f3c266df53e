import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as tf from "@tensorflow/tfjs-core";
import { expect, test } from "vitest";
import { nextTurn } from "../../src/layers/index.ts";
import { openPipeline } from "../../src/pipelines/index.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: () => void = runInNewContext("gc");

const generations = 200;
/** Until then code is compiled, and the allocators take from the system what they keep. */
const warm = 50;

/** Bytes that may come on top in the 150 that follow: one picture left over by each of them would be 7.4 MB. */
const tolerance = { held: 2e6, resident: 8e6 };

interface Memory {
  tensors: number;
  /** By JavaScript: objects and numbers outside of its heap. */
  held: number;
  /** By the process, as the system counts. */
  resident: number;
  /** The memory of compiled code, which only ever grows; undefined of other backends. */
  wasm: number | undefined;
}

async function measure(): Promise<Memory> {
  for (let i = 0; i < 3; i++) {
    collectGarbage();
    await nextTurn(); // buffers are freed after their objects
  }
  const { heapUsed, arrayBuffers, rss } = process.memoryUsage();
  const { wasm } = tf.backend() as { wasm?: { HEAPU8: Uint8Array } };
  return {
    tensors: tf.memory().numTensors,
    held: heapUsed + arrayBuffers,
    resident: rss,
    wasm: wasm?.HEAPU8.byteLength,
  };
}

test("over 200 generations tensors and memory stay as they are", { timeout: 300_000 }, async () => {
  const before = tf.memory().numTensors;
  const pipeline = await openPipeline("weights/tiny");
  let start!: Memory;
  for (let i = 1; i <= generations; i++) {
    await pipeline.run({ prompt: `花畑 ${i}`, seed: i, width: 64, height: 64, steps: 2 });
    if (i === warm) start = await measure();
    if (i > warm) expect(tf.memory().numTensors, `tensors after generation ${i}`).toBe(start.tensors);
  }
  const end = await measure();
  expect(end.wasm).toBe(start.wasm);
  expect(end.held - start.held).toBeLessThan(tolerance.held);
  expect(end.resident - start.resident).toBeLessThan(tolerance.resident);

  await pipeline.dispose();
  expect(tf.memory().numTensors).toBe(before);
});

test("calls that end early leave nothing, whichever way they end", { timeout: 120_000 }, async () => {
  const pipeline = await openPipeline("weights/tiny");
  const small = { prompt: "花", seed: 1, width: 64, height: 64, steps: 2 };
  await pipeline.run(small); // loads the weights
  const tensors = tf.memory().numTensors;
  for (let i = 0; i < 20; i++) {
    for await (const _ of pipeline.generate(small)) break;
    const controller = new AbortController();
    let told = 0;
    const onProgress = () => ++told === 3 * i + 2 && controller.abort(new Error("enough"));
    await expect(pipeline.run({ ...small, signal: controller.signal, onProgress })).rejects.toThrow("enough");
    await expect(pipeline.run({ ...small, width: 65 })).rejects.toThrow("65");
    expect(tf.memory().numTensors).toBe(tensors);
  }
  await pipeline.dispose();
});
