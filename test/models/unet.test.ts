import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, describe, expect, test } from "vitest";
import { disposeWeights, observe, parameters, runStages } from "../../src/layers/index.ts";
import { UNet, type UNetConditions } from "../../src/models/unet.ts";
import { unetConfigFrom } from "../../src/models/unet-config.ts";
import type { WeightSource } from "../../src/weights/index.ts";
import { expectAccurate } from "../helpers/accuracy.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "../helpers/expected.ts";
import { fill, samples } from "../helpers/formula.ts";

const cases = readdirSync(expectedPath("unet"));
const models = new Map<string, UNet>();
afterAll(() => {
  for (const model of models.values()) disposeWeights(model);
});

async function model(name: string): Promise<UNet> {
  const path = expectedPath(`unet/${name}/config.json`);
  const unet = models.get(name) ?? new UNet(unetConfigFrom(JSON.parse(await readFile(path, "utf8")), path));
  if (!models.has(name)) fill(unet);
  models.set(name, unet);
  return unet;
}

type Inputs = Parameters<UNet["apply"]>;

/** The inputs of a run, from diffusers' names and layout. */
async function inputs(source: WeightSource): Promise<Inputs> {
  const read = async <T extends tf.Tensor>(name: string) =>
    source.entries.has(name) ? ((await readTensor(source, name)) as T) : undefined;
  const times = [...(await (await readTensor(source, "timestep")).data())];
  const labels = await read<tf.Tensor2D>("class_labels");
  const conditions: UNetConditions = {
    contextMask: await read("encoder_attention_mask"),
    pooled: await read("text_embeds"),
    timeIds: (await (await read<tf.Tensor2D>("time_ids"))?.array()) as number[][] | undefined,
    classLabels: labels?.rank === 1 ? [...(await labels.data())] : labels,
    timeCondition: await read("timestep_cond"),
  };
  const latents = (await readTensor(source, "sample", "nhwc")) as tf.Tensor4D;
  const context = (await readTensor(source, "encoder_hidden_states")) as tf.Tensor3D;
  return [latents, times.length === 1 ? times[0]! : times, context, conditions];
}

describe.each(cases)("%s", (name) => {
  test("has diffusers' weights, by name and shape", async () => {
    const structure = await readFile(expectedPath(`unet/${name}/structure.txt`), "utf8");
    const lines = [...parameters(await model(name))].map(([path, { shape }]) => `${path} [${shape.join(", ")}]`);
    expect(lines.sort()).toEqual(structure.trimEnd().split("\n").sort());
  });

  test("no layer diverges from diffusers'", async () => {
    const unet = await model(name);
    const source = await openExpected(`unet/${name}/plain.safetensors`);
    const paths: string[] = JSON.parse(source.metadata.paths!);
    const wanted = tf.unstack(await readTensor(source, "activations"));
    const actual = new Map<string, tf.Tensor>();
    const stop = observe(unet, (path, output) => actual.set(path, tf.keep(samples(output))));
    unet.apply(...(await inputs(source)));
    stop();
    await source.close();
    for (const [i, path] of paths.entries()) {
      expect(actual.has(path), `${path} was not observed`).toBe(true);
      const error = await relativeError(actual.get(path)!, wanted[i]!);
      expectAccurate("UNet, layer by layer", error, `${path} is the first layer that diverges`);
    }
    expect([...actual.keys()].filter((path) => path && !paths.includes(path))).toEqual([]);
  });

  const runs = readdirSync(expectedPath(`unet/${name}`)).filter((file) => file.endsWith(".safetensors"));
  test.each(runs)("%s gives diffusers' output, in one go and in stages", async (file) => {
    const source = await openExpected(`unet/${name}/${file}`);
    const [unet, given] = [await model(name), await inputs(source)];
    const { numTensors } = tf.memory();
    const output = unet.apply(...given);
    await output.data(); // where computing waits until then, nothing of this is left to be shared with what follows
    const staged = await runStages(unet.stages(...given));
    expect(tf.memory().numTensors).toBe(numTensors + 2);
    expectAccurate("UNet", await relativeError(output, await readTensor(source, "output", "nhwc")));
    expect(await relativeError(staged, output)).toBe(0);
    await source.close();
  });
});
