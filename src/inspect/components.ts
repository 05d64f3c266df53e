import * as tf from "@tensorflow/tfjs-core";
import type { Layer } from "../layers/layer.ts";
import { SiglipTextModel } from "../models/siglip-text.ts";
import type { SiglipTextConfig } from "../models/siglip-text-config.ts";
import { type Description, describe, type ShapeInput } from "./describe.ts";

/** An argument of a model's `forward` in Python, in PyTorch's layout, and what it holds where nobody gives it. */
export interface InputSpec {
  readonly shape: readonly number[];
  /** Drawn from the normal distribution, token ids below a number, or these numbers. */
  readonly values: "normal" | { readonly idsBelow: number } | readonly number[];
}

/** The arguments of one run, under the names that they have in Python. */
export interface Inputs {
  has(name: string): boolean;
  /** As it stands; [B, C, H, W] is turned to tfjs's [B, H, W, C]. */
  tensor<T extends tf.Tensor = tf.Tensor>(name: string): T;
  numbers(name: string): readonly number[];
}

/** A size in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** One model of a system, and how it is run with the arguments that its Python counterpart takes. */
export interface Component {
  readonly model: Layer;
  /** What it is run with where nobody says. */
  inputs(size: Size): Readonly<Record<string, InputSpec>>;
  run(inputs: Inputs): tf.TensorContainer;
}

export function siglipText(config: SiglipTextConfig): Component {
  const model = new SiglipTextModel(config);
  return {
    model,
    inputs: () => ({ input_ids: { shape: [1, config.positions], values: { idsBelow: config.vocabSize } } }),
    run: (inputs) =>
      model.apply(inputs.tensor<tf.Tensor2D>("input_ids"), {
        ...(inputs.has("attention_mask") && {
          mask: "padding",
          attentionMask: inputs.tensor<tf.Tensor2D>("attention_mask"),
        }),
      }),
  };
}

/** The layer tree of a component, with the shapes that belong to a picture's size. */
export function describeComponent(name: string, component: Component, size: Size): Description {
  const specs = component.inputs(size);
  const run = (input: ShapeInput) => {
    const inputs: Inputs = {
      has: (argument) => argument in specs,
      tensor: <T extends tf.Tensor>(argument: string) => {
        const { shape, values } = specs[argument]!;
        return input(tfjsOrder(shape), isIds(values) ? "int32" : "float32") as T;
      },
      numbers: (argument) => {
        const { shape, values } = specs[argument]!;
        return Array.isArray(values) ? values : new Array(tf.util.sizeFromShape([...shape])).fill(0);
      },
    };
    component.run(inputs);
  };
  return describe(component.model, run, { name });
}

export function isIds(values: InputSpec["values"]): values is { readonly idsBelow: number } {
  return typeof values === "object" && "idsBelow" in values;
}

/** [B, C, H, W] → [B, H, W, C] */
function tfjsOrder(shape: readonly number[]): number[] {
  if (shape.length !== 4) return [...shape];
  const [batch, channels, height, width] = shape as [number, number, number, number];
  return [batch, height, width, channels];
}
