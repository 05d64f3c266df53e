import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { useBackend } from "../../../src/backends/index.ts";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/backend.ts";
import { InputError } from "../../../src/errors.ts";
import { parameters, runAtOnce } from "../../../src/layers/index.ts";
import { normalizeLatents } from "../../../src/models/autoencoder.ts";
import { saveComponent } from "../../../src/training/component.ts";
import {
  AdamW,
  Draws,
  type Example,
  registerGradients,
  ScenesDataset,
  type Task,
} from "../../../src/training/index.ts";
import type { AutoencoderTask } from "../../../src/training/tasks/autoencoder.ts";
import { type ClipTask, clipTask } from "../../../src/training/tasks/clip.ts";
import { taskKinds } from "../../../src/training/tasks/kinds.ts";

// wasm has no gradients of convolutions.
beforeAll(async () => {
  await useBackend("onnxruntime");
  await registerGradients();
}, 60_000);

const mini = new URL("../../../weights/mini", import.meta.url).pathname;
const tiny = new URL("../../../weights/tiny", import.meta.url).pathname;

/** A folder with this config.json, and no weights. */
async function blank(from: string, changes: object): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tfjs-diffusion-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = JSON.parse(await readFile(join(from, "config.json"), "utf8"));
  await writeFile(join(folder, "config.json"), JSON.stringify({ ...config, ...changes }));
  return folder;
}

/** The mini model's parts with fewer numbers, for each kind of task. */
const folders: Readonly<Record<string, () => Promise<Record<string, string>>>> = {
  autoencoder: async () => ({
    vae: await blank(`${mini}/vae`, { block_out_channels: [8, 8, 16], norm_num_groups: 4 }),
  }),
  clip: async () => {
    const image = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, projection_dim: 16, patch_size: 16 };
    const text = { hidden_size: 16, intermediate_size: 32, num_hidden_layers: 1, num_attention_heads: 2 };
    const image_encoder = await blank(`${mini}/image_encoder`, image);
    const processor = await readFile(`${mini}/image_encoder/preprocessor_config.json`);
    await writeFile(join(image_encoder, "preprocessor_config.json"), processor);
    return {
      text_encoder: await blank(`${mini}/text_encoder`, { ...text, projection_size: 16 }),
      image_encoder,
      tokenizer: `${mini}/tokenizer`,
    };
  },
  classifier: async () => ({
    character_detector: await blank(`${mini}/character_detector`, { embed_dim: 8, depths: [1, 1, 1] }),
    character_detector_processor: `${mini}/character_detector_processor`,
  }),
};

async function open(kind: string): Promise<Task> {
  const { model, open: openTask } = taskKinds[kind]!;
  return openTask(model.parse(await folders[kind]!()), { seed: 1 });
}

/** Computes all of a step as one graph, as the trainer does. */
const computed = (tensors: tf.Tensor[]) => (tf.backend() as OnnxRuntimeBackend).flush(tensors);

const stageOf = (kind: string) => taskKinds[kind]!.stage.parse({});

async function scenes(count: number, seed = 1): Promise<Example[]> {
  const dataset = new ScenesDataset({ seed, count, mascots: 0.5 });
  return Promise.all(Array.from({ length: count }, (_, i) => dataset.read(i, 64, 64)));
}

describe.each(Object.keys(folders))("the task %s", (kind) => {
  it("lowers the loss of a batch, and leaves no tensor", async () => {
    const task = await open(kind);
    const stage = stageOf(kind);
    const trained = task.trained(stage);
    const optimizer = new AdamW(trained);
    const variables = trained.map(([, { value }]) => value as tf.Variable);
    const examples = await scenes(4);
    const losses: number[] = [];
    const counts: number[] = [];
    for (let step = 0; step < 6; step++) {
      const batch = await task.prepare(examples, new Draws(1, 0), stage);
      const loss = tf.tidy(() => {
        const { value, grads } = tf.variableGrads(() => task.loss(batch, stage), variables);
        const gradients = variables.map((variable) => grads[variable.name] ?? tf.zerosLike(variable));
        optimizer.step(gradients, 3e-3);
        return value;
      });
      await computed([loss, ...variables, ...optimizer.state().map(([, tensor]) => tensor)]);
      losses.push((await loss.data())[0]!);
      tf.dispose([loss, batch]);
      counts.push(tf.memory().numTensors);
    }
    expect(losses.at(-1)).toBeLessThan(losses[0]!);
    expect(counts.at(-1)).toBe(counts[1]);
  });

  it("trains every weight of its models, and prepares the same batch of the same draws", async () => {
    const task = await open(kind);
    const all = Object.entries(task.models).flatMap(([name, model]) => [...parameters(model, name)]);
    expect(task.trained(stageOf(kind)).map(([name]) => name)).toEqual(all.map(([name]) => name));
    const examples = await scenes(2);
    const batches = [];
    for (const _ of [1, 2]) batches.push(await task.prepare(examples, new Draws(3, 4), stageOf(kind)));
    const [a, b] = batches.map((batch) => tf.tidy(() => task.loss(batch, stageOf(kind))));
    expect(await a!.data()).toEqual(await b!.data());
  });

  it("says how far it is on examples that are kept", async () => {
    const { figures, pictures } = await (await open(kind)).sample!(await scenes(4, 2));
    expect(pictures).toHaveLength(kind === "autoencoder" ? 8 : 0);
    const names = {
      autoencoder: ["psnr"],
      clip: ["text 1 found", "picture 1 found", "text 2 found", "picture 2 found"],
    };
    expect(Object.keys(figures!)).toEqual({ ...names, classifier: ["precision", "recall", "f1"] }[kind]);
    for (const value of Object.values(figures!)) expect(value).toBeGreaterThanOrEqual(0);
  });
});

describe("an autoencoder", () => {
  it("ends with a scaling factor that brings latents to a standard deviation of 1", async () => {
    const task = (await open("autoencoder")) as AutoencoderTask;
    const examples = await scenes(3);
    const { vae } = await task.finish(examples);
    const { pictures } = await task.prepare(examples, new Draws(1, 1));
    const config = { ...task.models.vae.config, scalingFactor: vae.scaling_factor };
    const latents = tf.tidy(() => normalizeLatents(runAtOnce(task.models.vae.encode(pictures)).mean, config));
    const { variance } = tf.moments(latents);
    expect((await variance.data())[0]).toBeCloseTo(1, 4);
  });

  it("goes on from weights that there are", async () => {
    const { model, open: openTask } = taskKinds.autoencoder!;
    const task = await openTask(model.parse({ vae: `${tiny}/vae` }), { seed: 1 });
    expect(task.trained(stageOf("autoencoder")).length).toBeGreaterThan(50);
  });
});

describe("a classifier", () => {
  it("refuses a label that it has not", async () => {
    const task = await open("classifier");
    const [example] = await scenes(1);
    const prepare = task.prepare([{ ...example!, labels: ["Nobody"] }], new Draws(1, 1), stageOf("classifier"));
    await expect(prepare).rejects.toThrow(InputError);
    await expect(prepare).rejects.toThrow('has the label "Nobody", which the classifier has not');
  });
});

describe("a CLIP", () => {
  it("learns as a whole, or one of its towers alone", async () => {
    const task = (await open("clip")) as ClipTask;
    const trainedBy = (train: "both" | "text" | "image") =>
      new Set(task.trained(clipTask.stage.parse({ train })).map(([name]) => name.split(".")[0]));
    expect(trainedBy("both")).toEqual(new Set(["text_encoder", "image_encoder", "similarity"]));
    expect(trainedBy("text")).toEqual(new Set(["text_encoder", "similarity"]));
    expect(trainedBy("image")).toEqual(new Set(["image_encoder", "similarity"]));
  });

  it("learns from captions alone which are of one picture", async () => {
    const task = (await open("clip")) as ClipTask;
    const stage = clipTask.stage.parse({ train: "text" });
    const pairs = [
      ["赤い船", "a red boat"],
      ["青い木", "a blue tree"],
      ["緑の車", "a green car"],
    ];
    const examples = (await scenes(3)).map((example, i) => ({ ...example, captions: pairs[i]! }));
    const optimizer = new AdamW(task.trained(stage));
    const losses: number[] = [];
    for (let step = 0; step < 30; step++) {
      const batch = await task.prepare(examples, new Draws(1, step), stage);
      const variables = task.trained(stage).map(([, { value }]) => value as tf.Variable);
      const { value, grads } = tf.variableGrads(() => task.loss(batch), variables);
      optimizer.step(
        variables.map(({ name }) => grads[name]!),
        0.003,
      );
      losses.push((await value.data())[0]!);
      tf.dispose([grads, value, batch]);
    }
    expect(losses[0]).toBeGreaterThan(0.5);
    expect(losses.at(-1)).toBeLessThan(0.05);
  });

  it("leaves an image tower that another training can begin with", async () => {
    const { image_encoder, ...others } = await folders.clip!();
    const to = await mkdtemp(join(tmpdir(), "tfjs-diffusion-"));
    onTestFinished(() => rm(to, { recursive: true }));
    const task = (await open("clip")) as ClipTask;
    await saveComponent(task.models.image_encoder, { from: image_encoder!, to });
    const next = (await clipTask.open(clipTask.model.parse({ ...others, image_encoder: to }), { seed: 2 })) as ClipTask;
    const [before, after] = [task, next].map(({ models }) => [...parameters(models.image_encoder)]);
    for (const [i, [name, { value }]] of before!.entries()) {
      expect(await after![i]![1].value.data(), name).toEqual(await value.data());
    }
  });

  it("takes no caption for wrong that another picture of the batch has too", async () => {
    const task = await open("clip");
    const [first, second] = (await scenes(2)) as [Example, Example];
    const batch = (await task.prepare(
      [first, second, { ...second, captions: first.captions }],
      new Draws(1, 1),
      stageOf("clip"),
    )) as { same: tf.Tensor2D };
    expect(await batch.same.array()).toEqual([
      [1, 0, 1],
      [0, 1, 0],
      [1, 0, 1],
    ]);
  });
});
