import type { TensorData } from "../pipelines/tensor-data.ts";
import { type Description, describe, type ShapeInput } from "./describe.ts";
import { type InputSpec, type Inputs, type Runnable, runnable, type Size } from "./runnable.ts";
import { type System, surroundingsIn } from "./systems.ts";

/** The layer trees of all models of a system, as the children of one node. */
export function describeSystem(system: System): Description {
  const surroundings = surroundingsIn(system);
  const children = Object.entries(system.models).map(([name, model]) =>
    describeModel(name, runnable(model, surroundings), system.size),
  );
  return {
    name: system.name,
    type: "System",
    parameters: children.reduce((sum, child) => sum + child.parameters, 0),
    outputShape: null,
    flops: children.reduce((sum, child) => sum + child.flops, 0),
    weights: {},
    children,
  };
}

function describeModel(name: string, { model, inputs, stages }: Runnable, size: Size): Description {
  const specs = inputs(size);
  const run = (input: ShapeInput): void => {
    const given: Inputs = {
      has: (argument) => argument in specs,
      tensor: (argument, dtype) => input(tfjsOrder(specs[argument]!.shape), dtype) as never,
      numbers: (argument) => numbersOf(specs[argument]!),
    };
    for (const _ of stages(given)); // to the end, in one go
  };
  return describe(model, run, { name });
}

/** [B, C, H, W] → [B, H, W, C] */
function tfjsOrder(shape: readonly number[]): readonly number[] {
  if (shape.length !== 4) return shape;
  const [batch, channels, height, width] = shape as [number, number, number, number];
  return [batch, height, width, channels];
}

function numbersOf({ shape, values }: InputSpec): TensorData {
  const size = shape.reduce((product, length) => product * length, 1);
  return { shape, data: Float32Array.from(Array.isArray(values) ? values : new Array(size).fill(0)) };
}
