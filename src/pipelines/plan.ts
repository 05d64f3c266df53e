import * as tf from "@tensorflow/tfjs-core";
import { onShapes, type ShapeRun } from "../backends/index.ts";
import { pace, type Stages } from "../layers/stages.ts";
import { withLentWeights } from "../layers/tree.ts";
import { pixelsPerCell } from "../models/autoencoder-config.ts";
import { tiledDecode } from "../models/autoencoder-tiles.ts";
import type { LazyModel } from "./lazy-model.ts";
import { available, type Phase, planResidency } from "./memory.ts";
import { modelsOf, type PipelineParts } from "./parts.ts";
import type { Request } from "./request.ts";

type Input = ShapeRun["tensor"];

/** Pixels. */
const largestSide = 2048;

/**
 * Decides, before anything is loaded, whether the models of a request can stay in memory together. The function that comes
 * back loads a model, and where memory is short frees the others first; where that is not enough, it leaves weights in their
 * file, to be read block by block whenever the model runs.
 * @throws MemoryError where not even the largest block of one of them fits
 */
export function planMemory(parts: PipelineParts, request: Request): (model: LazyModel) => Promise<void> {
  const models = modelsOf(parts); // one that this request does not need may still be there from another
  const loaded = models.reduce((sum, { loadedBytes }) => sum + loadedBytes, 0);
  const results = pictureBytes(request);
  const phases = knownPhases(parts, request).map((one) => ({ ...one, working: one.working + results }));
  const residency = planResidency(phases, available(loaded), advice(request));
  return async (model) => {
    if (residency !== "all") for (const other of models) if (other !== model) other.unload();
    await model.load({ ...request, streamed: residency === "block by block" });
  };
}

/** The phases of each pipeline's last request, and what they depend on. */
const last = new WeakMap<PipelineParts, { dependsOn: string; phases: Phase[] }>();

/** Finding them takes a tenth of a second, and one request is often like the one before. */
function knownPhases(parts: PipelineParts, request: Request): Phase[] {
  const { width, height, guidanceScale, batchSize, tiledDecode, image, similarityCheck } = request;
  const facts = [width, height, guidanceScale > 1, batchSize, tiledDecode, image !== undefined, similarityCheck];
  const dependsOn = [tf.getBackend(), ...facts].join();
  const known = last.get(parts);
  if (known?.dependsOn === dependsOn) return known.phases;
  const phases = phasesOf(parts, request);
  last.set(parts, { dependsOn, phases });
  return phases;
}

function phasesOf(parts: PipelineParts, request: Request): Phase[] {
  const { tokenizer, textEncoder, unet, autoencoder, classifier } = parts;
  const { config } = unet.model;
  const cell = pixelsPerCell(autoencoder.model.config);
  // What computing takes grows with the area. A very large picture is taken for so many smaller ones, to be done in a moment.
  const across = Math.ceil(Math.max(request.height, request.width) / largestSide);
  const cells = (side: number) => Math.ceil(side / cell / across);
  const latents = [cells(request.height), cells(request.width), config.inChannels] as const;
  const batch = request.batchSize * (request.guidanceScale > 1 ? 2 : 1);

  const phases = [
    phase(textEncoder, 1, (input) => textEncoder.model.stages(input([1, tokenizer.length], "int32") as tf.Tensor2D)),
    phase(unet, across ** 2, (input) => {
      const context = input([batch, tokenizer.length, config.textChannels ?? config.contextChannels]) as tf.Tensor3D;
      const { textTime } = config;
      const conditions = textTime && {
        pooled: input([batch, textTime.channels - 6 * textTime.sinusoidChannels]) as tf.Tensor2D,
        timeIds: Array.from({ length: batch }, () => [0, 0, 0, 0, 0, 0]),
      };
      return unet.model.stages(input([batch, ...latents]) as tf.Tensor4D, 0, context, conditions);
    }),
    phase(autoencoder, request.tiledDecode ? 1 : across ** 2, (input) => {
      if (request.image)
        return autoencoder.model.stages(input([1, latents[0] * cell, latents[1] * cell, 3]) as tf.Tensor4D);
      const z = input([1, ...latents]) as tf.Tensor4D;
      return request.tiledDecode ? tiledDecode(autoencoder.model, z) : autoencoder.model.decode(z);
    }),
  ];
  if (!classifier || !request.similarityCheck) return phases;
  const { width, height } = classifier.processor.config.resize ?? request;
  const { model } = classifier;
  return [...phases, phase(model, 1, (input) => model.model.stages(input([1, height, width, 3]) as tf.Tensor4D))];
}

/** What the pictures of a request take: each as float32 twice, once for itself and once in the batch, and in 8 bits. */
function pictureBytes({ seeds, width, height }: Request): number {
  return seeds.length * width * height * 3 * (4 + 4 + 1);
}

/** A model's share of the work, `times` as large as running it with these inputs. */
function phase(model: LazyModel, times: number, stages: (input: Input) => Stages<tf.TensorContainer>): Phase {
  const working = times * workingBytes(model, stages);
  return { name: `The ${model.name}`, weights: model.bytes, streamed: model.streamedBytes, working };
}

/** The most memory that running a model takes beside its weights, found by running it on shapes alone. */
function workingBytes({ model }: LazyModel, stages: (input: Input) => Stages<tf.TensorContainer>): number {
  return onShapes(({ tensor, bytes }) =>
    withLentWeights(model, tensor, () => {
      const { live } = bytes();
      tf.tidy(() => {
        const paced = pace(stages(tensor));
        while (!paced.next().done);
      });
      return bytes().peak - live;
    }),
  );
}

function advice({ width, height, guidanceScale, tiledDecode, seeds, batchSize }: Request): string {
  const ideas = [`a smaller picture than ${width} × ${height}`, ...(tiledDecode ? [] : ["decoding in tiles"])];
  if (batchSize > 1) ideas.unshift("a smaller batch");
  if (seeds.length > 1) ideas.unshift("fewer pictures at a time");
  if (guidanceScale > 1) ideas.push("no guidance");
  return `try ${ideas.join(", ")}, another backend, or a machine with more memory`;
}
