import * as tf from "@tensorflow/tfjs-core";
import { keeping, type Stages } from "../layers/stages.ts";
import { Autoencoder } from "../models/autoencoder.ts";
import { pixelsPerCell } from "../models/autoencoder-config.ts";
import type { ClipTextModel } from "../models/clip-text.ts";
import { ClipVisionModel } from "../models/clip-vision.ts";
import type { Model } from "../models/model-from.ts";
import { SiglipTextModel } from "../models/siglip-text.ts";
import { SwinForImageClassification } from "../models/swin.ts";
import { UNet } from "../models/unet.ts";
import type { TensorData } from "../pipelines/tensor-data.ts";

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** An argument of a model's `forward` in Python, in PyTorch's layout, and what it holds where nobody gives it. */
export interface InputSpec {
  readonly shape: readonly number[];
  /** Drawn from the normal distribution; whole numbers below another, such as token ids; or these numbers. */
  readonly values: "normal" | { readonly below: number } | readonly number[];
}
export type InputSpecs = Readonly<Record<string, InputSpec>>;

/** The arguments of one run, under the names that they have in Python. */
export interface Inputs {
  has(name: string): boolean;
  /** [B, C, H, W] is turned to tfjs's [B, H, W, C]. Whoever asks has to free it. */
  tensor<T extends tf.Tensor = tf.Tensor>(name: string, dtype?: "float32" | "int32"): T;
  numbers(name: string): TensorData;
}

/** What a UNet must know of the models beside it. */
export interface Surroundings {
  /** Tokens of a text. */
  tokens: number;
  /** Pixels along a side of a cell of the latents. */
  pixelsPerCell: number;
}

/** One model of a system, and how it is run with the arguments that its Python counterpart takes. */
export interface Runnable {
  readonly model: Model;
  /** All arguments that it understands: numbers of any kind, or whole ones below a bound. */
  readonly takes: Readonly<Record<string, "float" | number>>;
  /** What it is run with where nobody says. */
  inputs(size: Size): InputSpecs;
  /** What `forward` returns in Python, of several tensors the first; nothing where other methods are run in its place. */
  stages(inputs: Inputs): Stages<readonly tf.Tensor[]>;
}

/** How a model of any kind is run. */
export function runnable(model: Model, surroundings: Surroundings): Runnable {
  if (model instanceof UNet) return unet(model, surroundings);
  if (model instanceof Autoencoder) return autoencoder(model);
  if (model instanceof SwinForImageClassification) return classifier(model);
  if (model instanceof ClipVisionModel) return imageEncoder(model);
  return textEncoder(model);
}

function unet(model: UNet, { tokens, pixelsPerCell }: Surroundings): Runnable {
  const { config } = model;
  const { textTime, classEmbedding, time } = config;
  return {
    model,
    takes: {
      sample: "float",
      timestep: "float",
      encoder_hidden_states: "float",
      encoder_attention_mask: 2,
      text_embeds: "float",
      time_ids: "float",
      class_labels: "float",
      timestep_cond: "float",
    },
    inputs: ({ width, height }) => ({
      sample: {
        shape: [1, config.inChannels, Math.ceil(height / pixelsPerCell), Math.ceil(width / pixelsPerCell)],
        values: "normal",
      },
      timestep: { shape: [1], values: [500] },
      encoder_hidden_states: { shape: [1, tokens, config.textChannels ?? config.contextChannels], values: "normal" },
      ...(textTime && {
        text_embeds: { shape: [1, textTime.channels - 6 * textTime.sinusoidChannels], values: "normal" },
        time_ids: { shape: [1, 6], values: [height, width, 0, 0, height, width] },
      }),
      ...(classEmbedding && {
        class_labels:
          classEmbedding.kind === "table" || classEmbedding.kind === "timestep"
            ? { shape: [1], values: [0] }
            : { shape: [1, classEmbedding.inChannels ?? time.channels], values: "normal" },
      }),
    }),
    *stages(inputs) {
      const given = <T>(name: string, take: (name: string) => T): T | undefined =>
        inputs.has(name) ? take(name) : undefined;
      const latents = inputs.tensor<tf.Tensor4D>("sample");
      const context = inputs.tensor<tf.Tensor3D>("encoder_hidden_states");
      const contextMask = given("encoder_attention_mask", inputs.tensor<tf.Tensor2D>);
      const pooled = given("text_embeds", inputs.tensor<tf.Tensor2D>);
      const timeCondition = given("timestep_cond", inputs.tensor<tf.Tensor2D>);
      const timeIds = given("time_ids", (name) => rows(inputs.numbers(name)));
      const classLabels = given("class_labels", (name) => {
        const labels = inputs.numbers(name);
        return labels.shape.length < 2 ? [...labels.data] : inputs.tensor<tf.Tensor2D>(name);
      });
      const timesteps = [...inputs.numbers("timestep").data];
      const timestep = timesteps.length === 1 ? timesteps[0]! : timesteps;
      const conditions = { contextMask, pooled, timeIds, classLabels, timeCondition };
      const mine = [latents, context, contextMask, pooled, timeCondition, classLabels];
      const noise = yield* keeping(
        mine.filter((value) => value instanceof tf.Tensor),
        model.stages(latents, timestep, context, conditions),
      );
      return [noise];
    },
  };
}

/** `forward` on `sample`, or `decode` on `latents`; given both, `encode` and `decode`. */
function autoencoder(model: Autoencoder): Runnable {
  const { inChannels, latentChannels } = model.config;
  const cell = pixelsPerCell(model.config);
  return {
    model,
    takes: { sample: "float", latents: "float" },
    inputs: ({ width, height }) => ({
      sample: { shape: [1, inChannels, height, width], values: "normal" },
      latents: { shape: [1, latentChannels, Math.floor(height / cell), Math.floor(width / cell)], values: "normal" },
    }),
    *stages(inputs) {
      const sample = inputs.has("sample") ? inputs.tensor<tf.Tensor4D>("sample") : undefined;
      if (sample && !inputs.has("latents")) return [yield* keeping([sample], model.stages(sample))];
      if (sample) yield* keeping([sample], model.encode(sample));
      const latents = inputs.tensor<tf.Tensor4D>("latents");
      yield* keeping([latents], model.decode(latents));
      return [];
    },
  };
}

function textEncoder(model: SiglipTextModel | ClipTextModel): Runnable {
  const { tokenEmbedding } = model.embeddings;
  const [vocabulary] = tokenEmbedding.weight.shape as [number];
  const hasMask = model instanceof SiglipTextModel;
  return {
    model,
    takes: { input_ids: vocabulary, ...(hasMask && { attention_mask: 2 }) },
    inputs: () => ({ input_ids: { shape: [1, positionsOf(model)], values: { below: vocabulary } } }),
    *stages(inputs) {
      const ids = inputs.tensor<tf.Tensor2D>("input_ids", "int32");
      if (!hasMask) {
        const { pooled, lastHiddenState } = yield* keeping([ids], model.stages(ids));
        return [model.textProjection ? pooled : lastHiddenState];
      }
      if (!inputs.has("attention_mask")) return [(yield* keeping([ids], model.stages(ids))).lastHiddenState];
      const attentionMask = inputs.tensor<tf.Tensor2D>("attention_mask", "int32");
      const stages = model.stages(ids, { mask: "padding", attentionMask });
      return [(yield* keeping([ids, attentionMask], stages)).lastHiddenState];
    },
  };
}

function imageEncoder(model: ClipVisionModel): Runnable {
  const { inChannels, imageSize } = model.config;
  return {
    model,
    takes: { pixel_values: "float" },
    inputs: () => ({ pixel_values: { shape: [1, inChannels, imageSize, imageSize], values: "normal" } }),
    *stages(inputs) {
      const pictures = inputs.tensor<tf.Tensor4D>("pixel_values");
      const { pooled, lastHiddenState } = yield* keeping([pictures], model.stages(pictures));
      return [model.visualProjection ? pooled : lastHiddenState];
    },
  };
}

/** Tokens that fit into one text. */
export function positionsOf({ embeddings }: SiglipTextModel | ClipTextModel): number {
  return embeddings.positionEmbedding.weight.shape[0]!;
}

function classifier(model: SwinForImageClassification): Runnable {
  const { patch, window, stages, inChannels } = model.config;
  const side = patch * window * 2 ** (stages.length - 1); // a window at the last stage: 224 pixels for Swin-B
  return {
    model,
    takes: { pixel_values: "float" },
    inputs: () => ({ pixel_values: { shape: [1, inChannels, side, side], values: "normal" } }),
    *stages(inputs) {
      const pictures = inputs.tensor<tf.Tensor4D>("pixel_values");
      return [yield* keeping([pictures], model.stages(pictures))];
    },
  };
}

function rows({ shape, data }: TensorData): number[][] {
  const length = shape.at(-1)!;
  return Array.from({ length: data.length / length }, (_, row) => [...data.subarray(row * length, (row + 1) * length)]);
}
