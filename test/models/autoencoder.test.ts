import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { countParameters, disposeWeights, observe, parameters, runStages } from "../../src/layers/index.ts";
import { Autoencoder, denormalizeLatents, normalizeLatents, samplePosterior } from "../../src/models/autoencoder.ts";
import {
  type AutoencoderConfig,
  autoencoderConfigFrom,
  mitsuaLikesAutoencoder,
  sdAutoencoder,
  sdxlAutoencoder,
} from "../../src/models/autoencoder-config.ts";
import { defaultTiles, slicedDecode, tiledDecode } from "../../src/models/autoencoder-tiles.ts";
import { loadWeights, openSafetensors, type WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";

describe.each(["four", "eight", "flat"])("the small autoencoder %s", (name) => {
  let autoencoder: Autoencoder;
  let io: WeightSource;
  const expected = (key: string) => readTensor(io, key, "nhwc") as Promise<tf.Tensor4D>;

  beforeAll(async () => {
    autoencoder = await loaded(name);
    io = await openExpected(`autoencoder/${name}/io.safetensors`);
  });

  afterAll(async () => {
    disposeWeights(autoencoder);
    await io.close();
  });

  test("makes on the way what diffusers' makes, layer by layer", async () => {
    const steps = await openExpected(`autoencoder/${name}/steps.safetensors`);
    const seen = new Map<string, tf.Tensor>();
    const stop = observe(autoencoder, (path, output) => seen.set(path, tf.keep(tf.clone(output))));
    const [x] = tf.split(await expected("x"), 2, 0) as [tf.Tensor4D, tf.Tensor4D];
    await runStages(autoencoder.stages(x));
    stop();
    for (const path of inOrder(steps.entries.keys(), seen.keys())) {
      const error = await relativeError(seen.get(path)!, await readTensor(steps, path, "nhwc"));
      expectAccurate("autoencoder", error, `${path} is the first layer that diverges`);
    }
    await steps.close();
  });

  test("encodes", async () => {
    const posterior = await runStages(autoencoder.encode(await expected("x")));
    expectAccurate("autoencoder", await relativeError(posterior.mean, await expected("mean")));
    expectAccurate("autoencoder", await relativeError(posterior.logvar, await expected("logvar")));
    const sample = samplePosterior(posterior, await expected("noise"));
    expectAccurate("autoencoder", await relativeError(sample, await expected("sample")));
  });

  test("decodes, a batch or one by one", async () => {
    const picture = await expected("picture");
    const whole = await runStages(autoencoder.decode(await expected("mean")));
    expectAccurate("autoencoder", await relativeError(whole, picture));
    const sliced = await runStages(slicedDecode(await expected("mean"), (one) => autoencoder.decode(one)));
    expectAccurate("autoencoder", await relativeError(sliced, picture));
  });

  test("decodes tile by tile as diffusers' does", async () => {
    for (const [i, overlap] of tilings[name]!.entries()) {
      const file = await openExpected(`autoencoder/${name}/tiled.${i}.safetensors`);
      const [z, picture] = [await readTensor(file, "z", "nhwc"), await readTensor(file, "picture", "nhwc")];
      const tiles = overlap === undefined ? undefined : { ...defaultTiles(autoencoder.config), overlap };
      const actual = await runStages(tiledDecode(autoencoder, z as tf.Tensor4D, tiles));
      expectAccurate("autoencoder", await relativeError(actual, picture));
      await file.close();
    }
  });

  test("scales latents as the pipelines do, there and back", async () => {
    const mean = await expected("mean");
    const denormalized = denormalizeLatents(mean, autoencoder.config);
    expect(await relativeError(denormalized, await expected("denormalized"))).toBeLessThan(1e-6);
    expect(await relativeError(normalizeLatents(mean, autoencoder.config), await expected("normalized"))).toBeLessThan(
      1e-6,
    );
    expect(await relativeError(normalizeLatents(denormalized, autoencoder.config), mean)).toBeLessThan(1e-6);
  });

  test("leaves nothing behind but its result, in stages and in one go, and after an abort", async () => {
    const z = await expected("mean");
    const before = tf.memory().numTensors;
    const staged = await runStages(autoencoder.decode(z));
    expect(tf.memory().numTensors).toBe(before + 1);
    staged.dispose();
    (await runStages(tiledDecode(autoencoder, z, { size: 2, overlap: 1 }))).dispose();
    (await runStages(slicedDecode(z, (one) => tiledDecode(autoencoder, one, { size: 2, overlap: 1 })))).dispose();
    autoencoder.decoder.apply(z).dispose();
    expect(tf.memory().numTensors).toBe(before);

    const abort = new AbortController();
    const run = runStages(autoencoder.decode(z), { signal: abort.signal, onStage: () => abort.abort() });
    await expect(run).rejects.toThrow("aborted");
    expect(tf.memory().numTensors).toBe(before);
    expect(z.isDisposed).toBe(false);
  });
});

/** The overlaps, in latent cells, of the tilings in test/reference/autoencoder.py; undefined is diffusers' own. */
const tilings: Record<string, (number | undefined)[]> = {
  four: [undefined, undefined, undefined],
  eight: [4, 0],
  flat: [undefined],
};

describe("memory", () => {
  test("of a tiled decoding is bounded by the tile, not by the picture", async () => {
    const autoencoder = await loaded("four");
    const peak = async (height: number, width: number) => {
      const z = tf.ones<tf.Rank.R4>([1, height, width, 4]);
      const { peakBytes } = await tf.profile(() => runStages(tiledDecode(autoencoder, z)));
      return peakBytes - 4 * 16 * 3 * height * width; // without the picture itself, which has 4 pixels by 4 a cell
    };
    const [small, large] = [await peak(8, 14), await peak(32, 56)];
    expect(large).toBeLessThan(1.5 * small);
    disposeWeights(autoencoder);
  });

  test("of a sliced decoding does not grow with the batch", async () => {
    const autoencoder = await loaded("four");
    const peak = async (batch: number) => {
      const z = tf.ones<tf.Rank.R4>([batch, 8, 8, 4]);
      const { peakBytes } = await tf.profile(() => runStages(slicedDecode(z, (one) => autoencoder.decode(one))));
      return peakBytes - 2 * 4 * 16 * 3 * batch * 64; // without the pictures, which are put together at the end
    };
    expect(await peak(8)).toBeLessThan(1.1 * (await peak(1)));
    disposeWeights(autoencoder);
  });
});

describe("full-size autoencoders", () => {
  const presets = { sd: sdAutoencoder, sdxl: sdxlAutoencoder, mitsua_likes: mitsuaLikesAutoencoder };

  test.each(Object.entries(presets))("%s has diffusers' names, shapes and config", async (name, preset) => {
    const shapes = JSON.parse(await readFile(expectedPath(`autoencoder/structure/${name}.json`), "utf8"));
    const ours = [...parameters(new Autoencoder(preset))].map(([path, { shape }]) => [path, shape.join("x")]);
    expect(Object.fromEntries(ours)).toEqual(shapes);
    expect(await readConfig(`autoencoder/structure/${name}/config.json`)).toEqual(preset);
  });

  test("Stable Diffusion's has the published number of parameters", () => {
    expect(countParameters(new Autoencoder(sdAutoencoder))).toBe(83_653_863);
  });
});

describe("mistakes", () => {
  const autoencoder = new Autoencoder(sdAutoencoder);
  const zeros = (channels: number) => tf.zeros<tf.Rank.R4>([1, 8, 8, channels]);

  test.each([
    [() => autoencoder.encode(zeros(4)), "Pictures for this autoencoder have 3 channels, those given have 4."],
    [() => autoencoder.decode(zeros(8)), "Latents for this autoencoder have 4 channels, those given have 8."],
    [() => tiledDecode(autoencoder, zeros(4), { size: 8, overlap: 8 }), "Tiles of 8 latent cells that overlap by 8"],
    [() => tiledDecode(autoencoder, zeros(4), { size: 8.5, overlap: 2 }), "Tiles of 8.5 latent cells"],
  ])("are told in a sentence", async (run, message) => {
    const failure = await runStages<tf.TensorContainer>(run()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(InputError);
    expect((failure as Error).message).toContain(message);
  });
});

async function loaded(name: string): Promise<Autoencoder> {
  const autoencoder = new Autoencoder(await readConfig(`autoencoder/${name}/config.json`));
  const weights = await openSafetensors(expectedPath(`autoencoder/${name}/weights.safetensors`));
  await loadWeights(autoencoder, weights);
  await weights.close();
  return autoencoder;
}

async function readConfig(name: string): Promise<AutoencoderConfig> {
  const path = expectedPath(name);
  return autoencoderConfigFrom(JSON.parse(await readFile(path, "utf8")), path);
}

/** The expected paths, in the order in which our layers finished. */
function inOrder(wanted: Iterable<string>, seen: Iterable<string>): string[] {
  const missing = new Set(wanted);
  const order = [...seen].filter((path) => missing.delete(path));
  expect([...missing]).toEqual([]);
  return order;
}
