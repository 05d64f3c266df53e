import * as tf from "@tensorflow/tfjs-core";
import { onShapes, type ShapeRun } from "../backends/shapes.ts";
import { type Layer, Parameter, parts, watch, withLentWeights } from "../layers/index.ts";

/** A layer and what is known of it without its weights. */
export interface Description {
  /** Its name in the layer above, as in a checkpoint: `resnets.0`. */
  name: string;
  /** The class of the layer. */
  type: string;
  /** The number of weights in it and below. */
  parameters: number;
  /** The shape of what it returns, in tfjs's order ([B, H, W, C], [B, N, C]); null where the layer was not run. */
  outputShape: number[] | null;
  /** Two for each multiply–add of its convolutions and matrix products, and of those below. Nothing else is counted. */
  flops: number;
  /** Its own weights, in the shape that checkpoints have. */
  weights: Record<string, readonly number[]>;
  children: Description[];
}

/** Makes an input that has a shape and a type and no values. */
export type ShapeInput = ShapeRun["tensor"];

/**
 * The layer tree of a model. No weight is needed and none is read, and no backend: `run` is carried out on shapes alone.
 *
 *     describe(unet, (input) => unet.apply(input([1, 96, 96, 8]), …))
 *
 * @param run calls the model with inputs of the shapes that the description is for
 */
export function describe(model: Layer, run: (input: ShapeInput) => void, { name = "" } = {}): Description {
  return onShapes(({ tensor, flops }) => {
    const seen = new Map<string, { outputShape: number[]; flops: number }>();
    const stop = watch(model, (path) => {
      const before = flops();
      return (output) => {
        seen.set(path, { outputShape: output.shape, flops: (seen.get(path)?.flops ?? 0) + flops() - before });
      };
    });
    try {
      return withLentWeights(model, tensor, () => {
        tf.tidy(() => {
          run(tensor);
        });
        return { ...describeLayer(model, name, "", seen), flops: flops() };
      });
    } finally {
      stop();
    }
  });
}

function describeLayer(
  layer: Layer,
  name: string,
  path: string,
  seen: ReadonlyMap<string, { outputShape: number[]; flops: number }>,
): Description {
  const children: Description[] = [];
  const weights: Description["weights"] = {};
  let own = 0;
  for (const [part, node] of parts(layer)) {
    if (node instanceof Parameter) {
      weights[part] = node.shape;
      own += node.size;
    } else children.push(describeLayer(node, part, path ? `${path}.${part}` : part, seen));
  }
  return {
    name,
    type: layer.constructor.name,
    parameters: children.reduce((sum, child) => sum + child.parameters, own),
    outputShape: seen.get(path)?.outputShape ?? null,
    flops: seen.get(path)?.flops ?? children.reduce((sum, child) => sum + child.flops, 0),
    weights,
    children,
  };
}
