import { appendFileSync, rmSync, truncateSync, utimesSync } from "node:fs";
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import { disposeWeights, observe, parameters, runStages } from "../../src/layers/index.ts";
import { Autoencoder, autoencoderConfigFrom, tiledDecode, UNet, unetConfigFrom } from "../../src/models/index.ts";
import { type LoadOptions, loadWeights, openSafetensors, openSafetensorsIn } from "../../src/weights/index.ts";
import { temporaryFolder } from "../helpers/cli.ts";

const noise = <R extends tf.Rank>(shape: tf.ShapeMap[R], seed: number) =>
  tf.randomNormal<R>(shape, 0, 1, "float32", seed);

async function jsonOf(component: string): Promise<unknown> {
  return JSON.parse(await readFile(`weights/tiny/${component}/config.json`, "utf8"));
}

/** A copy of the tiny model's weights, which may be damaged. */
let file: string;
let unet: UNet;
let inputs: Parameters<UNet["apply"]>;
beforeEach(async () => {
  file = join(await temporaryFolder(), "unet.safetensors");
  await copyFile("weights/tiny/unet/diffusion_pytorch_model.safetensors", file);
  unet = new UNet(unetConfigFrom(await jsonOf("unet"), "tiny"));
  inputs = [
    noise<tf.Rank.R4>([1, 16, 16, 8], 1),
    500,
    noise<tf.Rank.R3>([1, 64, 32], 2),
    { pooled: noise<tf.Rank.R2>([1, 32], 3), timeIds: [[128, 128, 0, 0, 128, 128]] },
  ];
});
afterEach(() => disposeWeights(unet));

async function load(model: UNet | Autoencoder, path: string, options: LoadOptions = { streamed: true }): Promise<void> {
  const source = await openSafetensors(path);
  await loadWeights(model, source, options);
  await source.close();
}

const loadedIn = (model: UNet | Autoencoder) => [...parameters(model)].filter(([, { isLoaded }]) => isLoaded);

async function bits(tensor: tf.Tensor): Promise<number[]> {
  return [...new Int32Array(((await tensor.data()) as Float32Array).slice().buffer)];
}

describe("a UNet whose weights are streamed", () => {
  test("gives the bits of one whose weights are in memory, run after run, and leaves nothing", async () => {
    await load(unet, file, { streamed: false });
    const whole = await bits(await runStages(unet.stages(...inputs)));
    await load(unet, file);
    const resident = loadedIn(unet).length;
    const { numTensors } = tf.memory();
    for (let run = 1; run <= 2; run++) {
      const streamed = await runStages(unet.stages(...inputs));
      expect(await bits(streamed)).toEqual(whole);
      streamed.dispose();
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(loadedIn(unet)).toHaveLength(resident);
    }
    expect([inputs[0], inputs[2], inputs[3]?.pooled].some((tensor) => tensor?.isDisposed)).toBe(false);
  });

  test("holds the weights outside its blocks, and of the others never more than one way down the tree", async () => {
    const seen: number[] = [];
    await load(unet, file);
    const outside = loadedIn(unet).map(([name]) => name);
    expect(outside.some((name) => /blocks/.test(name))).toBe(false);
    expect(outside).toContain("conv_in.weight");
    const onStage = () => seen.push(new Set(loadedIn(unet).map(([name]) => name.match(/^\w+_blocks?\.\d+/)?.[0])).size);
    await runStages(unet.stages(...inputs), { onStage });
    expect(Math.max(...seen)).toBe(2); // the weights outside, and those of one block
  });

  test("tells the progress of what is read at once, to the end", async () => {
    const told: [number, number][] = [];
    await load(unet, file, { streamed: true, onProgress: (...progress) => told.push(progress) });
    const bytes = loadedIn(unet).reduce((sum, [, { size }]) => sum + 2 * size, 0); // F16
    expect(told.at(-1)).toEqual([bytes, bytes]);
  });

  test("aborted at any stage, it leaves nothing", async () => {
    await load(unet, file);
    let stages = 0;
    (await runStages(unet.stages(...inputs), { onStage: () => stages++ })).dispose();
    const { numTensors } = tf.memory();
    for (let last = 1; last <= stages; last++) {
      const abort = new AbortController();
      const onStage = (stage: number) => stage === last && abort.abort(new Error(`stopped at ${last}`));
      const run = runStages(unet.stages(...inputs), { signal: abort.signal, onStage });
      await expect(run).rejects.toThrow(`stopped at ${last}`);
      expect(tf.memory().numTensors).toBe(numTensors);
    }
  });

  test("two runs at once give what each gives alone, one that is aborted takes nothing from the other", async () => {
    await load(unet, file);
    const alone = await bits(await runStages(unet.stages(...inputs)));
    const { numTensors } = tf.memory();
    const abort = new AbortController();
    const onStage = (stage: number) => stage === 5 && abort.abort(new Error("enough"));
    const [first, second, aborted] = await Promise.allSettled([
      runStages(unet.stages(...inputs)),
      runStages(unet.stages(...inputs)),
      runStages(unet.stages(...inputs), { signal: abort.signal, onStage }),
    ]);
    expect(aborted).toMatchObject({ status: "rejected", reason: new Error("enough") });
    for (const run of [first, second]) {
      if (run.status === "rejected") throw run.reason;
      expect(await bits(run.value)).toEqual(alone);
      run.value.dispose();
    }
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test("is observed as any other, and goes on streaming afterwards", async () => {
    await load(unet, file);
    const paths: string[] = [];
    const stop = observe(unet, (path) => paths.push(path));
    (await runStages(unet.stages(...inputs))).dispose();
    stop();
    expect(paths).toContain("down_blocks.1.attentions.0.transformer_blocks.0.attn1");
    (await runStages(unet.stages(...inputs))).dispose();
  });

  test("has no apply, and says what to do", async () => {
    await load(unet, file);
    expect(() => unet.apply(...inputs)).toThrow("run the model by runStages(model.stages(…))");
  });

  test("disposed of, it has no weights; loaded again, it has them all in memory", async () => {
    await load(unet, file);
    disposeWeights(unet);
    await expect(runStages(unet.stages(...inputs))).rejects.toThrow("load the model's weights first");
    await load(unet, file, {});
    expect(loadedIn(unet)).toHaveLength([...parameters(unet)].length);
  });
});

describe("a file that does not stay as it is", () => {
  const changes: [what: string, change: () => void, message: string][] = [
    ["is gone", () => rmSync(file), "There is no"],
    ["was cut short", () => truncateSync(file, 100_000), "has changed since"],
    ["has grown", () => appendFileSync(file, "more"), "has changed since"],
    ["was written again", () => utimesSync(file, new Date(), new Date(1e12)), "has changed since"],
  ];
  test.each(changes)("%s: a WeightsError that names it, and nothing is left", async (_, change, message) => {
    await load(unet, file);
    const { numTensors } = tf.memory();
    const onStage = (stage: number) => stage === 4 && change();
    const error = await runStages(unet.stages(...inputs), { onStage }).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(WeightsError);
    expect(error).toMatchObject({ message: expect.stringContaining(file) });
    expect(error).toMatchObject({ message: expect.stringContaining(message) });
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  test("has numbers that are none: the run says so when it comes to them", async () => {
    const bytes = await readFile(file);
    bytes.fill(0xff, bytes.length / 2, bytes.length / 2 + 4096);
    await writeFile(file, bytes);
    await load(unet, file);
    const { numTensors } = tf.memory();
    const error = await runStages(unet.stages(...inputs)).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(WeightsError);
    expect(error).toMatchObject({ message: expect.stringContaining(`${file}: tensor "`) });
    expect(tf.memory().numTensors).toBe(numTensors);
  });
});

test("an autoencoder is streamed too, whole and in tiles", async () => {
  const autoencoder = new Autoencoder(autoencoderConfigFrom(await jsonOf("vae"), "tiny"));
  const weights = "weights/tiny/vae/diffusion_pytorch_model.safetensors";
  const z = noise<tf.Rank.R4>([1, 6, 6, 8], 4);
  const pictures = async () => [
    await bits(await runStages(autoencoder.decode(z))),
    await bits(await runStages(tiledDecode(autoencoder, z, { size: 4, overlap: 2 }))),
    await bits((await runStages(autoencoder.encode(noise<tf.Rank.R4>([1, 64, 64, 3], 5)))).mean),
  ];
  await load(autoencoder, weights, { streamed: false });
  const whole = await pictures();
  await load(autoencoder, weights);
  expect(await pictures()).toEqual(whole);
  disposeWeights(autoencoder);
});

test("weights are streamed from a Blob, as a browser has it", async () => {
  await load(unet, file, { streamed: false });
  const whole = await bits(await runStages(unet.stages(...inputs)));
  const blob = new Blob([await readFile(file)]);
  const source = await openSafetensorsIn({
    path: "unet.safetensors",
    size: blob.size,
    read: async ({ start, end }) => new Uint8Array(await blob.slice(start, end).arrayBuffer()),
  });
  await loadWeights(unet, source, { streamed: true });
  expect(await bits(await runStages(unet.stages(...inputs)))).toEqual(whole);
});

test("what is no safetensors file, or ends early, is refused wherever it lies", async () => {
  const bytes = new Uint8Array(await readFile(file));
  const open = (size: number, there: Uint8Array) =>
    openSafetensorsIn({ path: "there", size, read: async ({ start, end }) => there.slice(start, end) });
  await expect(open(20, new TextEncoder().encode("<!DOCTYPE html><html>"))).rejects.toThrow("it is a web page");
  const source = await open(bytes.length, bytes.subarray(0, bytes.length / 2));
  await expect(loadWeights(unet, source)).rejects.toThrow("there ended within tensor");
});
