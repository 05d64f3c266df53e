import * as tf from "@tensorflow/tfjs-core";
import { Conv2d, GroupNorm, type Layer, LayerNorm, Linear, layers, Parameter, parts } from "../layers/index.ts";
import { TorchCpuGenerator } from "../random/index.ts";

/**
 * Gives a model the random weights that PyTorch's and diffusers' models are born with. The same seed gives the same.
 *
 * Products and convolutions: uniform within ±1/√(inputs of one output), weights and biases (He et al. 2015 with a = √5, as
 * torch has it). Norms: gain 1, bias 0. Tables of vectors: normal, of standard deviation 0.02 (Radford et al. 2019).
 */
export function initialize(model: Layer, seed: number): void {
  const generator = new TorchCpuGenerator(seed);
  for (const [, layer] of layers(model)) {
    for (const [name, part] of parts(layer)) {
      if (part instanceof Parameter) part.assign(initialValue(layer, name, part, generator));
    }
  }
}

function initialValue(
  layer: Layer,
  name: string,
  { size, valueShape }: Parameter,
  generator: TorchCpuGenerator,
): tf.Tensor {
  if (layer instanceof Linear || layer instanceof Conv2d) {
    const bound = 1 / Math.sqrt(layer.weight.size / layer.weight.shape[0]!);
    return tf.tensor(
      generator.rand(size).map((x) => (2 * x - 1) * bound),
      valueShape,
    );
  }
  if (layer instanceof GroupNorm || layer instanceof LayerNorm) {
    return name === "weight" ? tf.ones(valueShape) : tf.zeros(valueShape);
  }
  return tf.tensor(
    generator.randn(size).map((x) => 0.02 * x),
    valueShape,
  );
}
