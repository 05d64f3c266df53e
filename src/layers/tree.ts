import type { Tensor } from "@tensorflow/tfjs-core";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** A node of the tree and its path, as a checkpoint writes it. The root's path is empty. */
export type Named<T> = readonly [path: string, node: T];

/** The parts that a layer declares, by their names in a checkpoint, in the order of declaration. */
export function* parts(layer: Layer): Generator<Named<Layer | Parameter>> {
  const { fileNames } = layer.constructor as typeof Layer;
  for (const [property, value] of Object.entries(layer)) {
    yield* within(fileNames[property] ?? snakeCase(property), value);
  }
}

function* within(name: string, value: unknown): Generator<Named<Layer | Parameter>> {
  if (value instanceof Layer || value instanceof Parameter) yield [name, value];
  else if (Array.isArray(value)) for (const [index, item] of value.entries()) yield* within(`${name}.${index}`, item);
}

/** Every layer of a tree, the root first. */
export function* layers(root: Layer, path = ""): Generator<Named<Layer>> {
  yield [path, root];
  for (const [name, part] of parts(root)) if (part instanceof Layer) yield* layers(part, join(path, name));
}

/** Every parameter of a tree by its name in a checkpoint. */
export function* parameters(root: Layer, path = ""): Generator<Named<Parameter>> {
  for (const [name, part] of parts(root)) {
    if (part instanceof Layer) yield* parameters(part, join(path, name));
    else yield [join(path, name), part];
  }
}

/** The number of weights in a tree, a plain integer. */
export function countParameters(root: Layer): number {
  let count = 0;
  for (const [, parameter] of parameters(root)) count += parameter.size;
  return count;
}

/** Frees the weights of a tree. It can be loaded again. */
export function disposeWeights(root: Layer): void {
  for (const [, parameter] of parameters(root)) parameter.dispose();
}

/** Runs something while every parameter that has no value has the tensor that `make` gives for its shape. */
export function withLentWeights<Out>(root: Layer, make: (shape: readonly number[]) => Tensor, run: () => Out): Out {
  const takeBack: (() => void)[] = [];
  try {
    for (const [, parameter] of parameters(root)) {
      if (parameter.isLoaded) continue;
      const tensor = make(parameter.valueShape);
      const end = parameter.lend(tensor);
      takeBack.push(() => {
        end();
        tensor.dispose();
      });
    }
    return run();
  } finally {
    for (const end of takeBack) end();
  }
}

function join(path: string, name: string): string {
  return path ? `${path}.${name}` : name;
}

/** `toK` → `to_k`, `layerNorm1` → `layer_norm1`. */
function snakeCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
