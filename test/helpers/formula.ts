import * as tf from "@tensorflow/tfjs-core";
import { type Layer, parameters } from "../../src/layers/index.ts";

/** FNV-1a over the bytes of a name. */
function seedOf(name: string): number {
  let seed = 2166136261;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 16777619);
  return seed;
}

/** The i-th of the numbers in -1…1 that belong to a name, as test/reference/formula.py makes them. */
function uniform(seed: number, i: number): number {
  let x = (Math.imul(i, 2654435761) + seed) | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1;
}

/** A tensor of the numbers that belong to a name. */
export function numbers(name: string, ...shape: number[]): tf.Tensor {
  const seed = seedOf(name);
  return tf.tensor(
    Float32Array.from({ length: tf.util.sizeFromShape(shape) }, (_, i) => uniform(seed, i)),
    shape,
  );
}

/** Gives a model the weights that the reference's `fill` gives to its own, name by name. */
export function fill(model: Layer): void {
  for (const [name, parameter] of parameters(model)) {
    const { shape, size } = parameter;
    const seed = seedOf(name);
    const isGain = shape.length === 1 && name.endsWith("weight");
    const scale = shape.length === 1 ? 0.2 : Math.sqrt(3 / (size / shape[0]!));
    const values = Float32Array.from({ length: size }, (_, i) => uniform(seed, i) * scale + (isGain ? 1 : 0));
    parameter.assign(tf.tidy(() => tf.transpose(tf.tensor(values, [...shape]), [...parameter.axes])));
  }
}

/** The same places of a tensor that the reference's `samples` takes. */
export function samples(tensor: tf.Tensor, count = 16): tf.Tensor1D {
  return tf.tidy(() => {
    const places = Int32Array.from({ length: count }, (_, i) => (i * 7919) % tensor.size);
    return tf.gather(tf.reshape(tensor, [-1]), tf.tensor1d(places, "int32")) as tf.Tensor1D;
  });
}
