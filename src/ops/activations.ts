import * as tf from "@tensorflow/tfjs-core";
import { kernelOr } from "./kernel.ts";

/** x · sigmoid(x), also called swish (Elfwing et al. 2017). */
export function silu<T extends tf.Tensor>(x: T): T {
  const gradient = sigmoidProductGradient(1);
  return kernelOr({ kernel: "SiLU", inputs: { x }, gradient }, () => tf.mul(x, tf.sigmoid(x)) as T);
}

/** x · Φ(x) with the exact normal distribution, not its tanh approximation (Hendrycks & Gimpel 2016). */
export function gelu<T extends tf.Tensor>(x: T): T {
  return kernelOr({ kernel: "GELU", inputs: { x }, gradient: geluGradient }, () => tf.mul(x, normal(x)) as T);
}

/** x · sigmoid(1.702 x), OpenAI CLIP's approximation of GELU. */
export function quickGelu<T extends tf.Tensor>(x: T): T {
  const gradient = sigmoidProductGradient(1.702);
  return kernelOr({ kernel: "QuickGELU", inputs: { x }, gradient }, () => tf.mul(x, tf.sigmoid(tf.mul(x, 1.702))) as T);
}

/** Of y = x s with s = sigmoid(αx): s + α x s (1 − s), which is s (1 + α (x − y)) */
function sigmoidProductGradient(alpha: number) {
  return (dy: tf.Tensor, { x }: tf.NamedTensorMap, y: tf.Tensor) => {
    const times = (factor: tf.Tensor) => (alpha === 1 ? factor : tf.mul(factor, alpha));
    return { x: tf.mul(dy, tf.mul(tf.sigmoid(times(x!)), tf.add(times(tf.sub(x!, y)), 1))) };
  };
}

/** Φ(x) + x φ(x) */
function geluGradient(dy: tf.Tensor, { x }: tf.NamedTensorMap) {
  const density = tf.mul(tf.exp(tf.mul(tf.square(x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return { x: tf.mul(dy, tf.add(normal(x!), tf.mul(x!, density))) };
}

/** Φ, the normal distribution: how much of it lies below x. */
function normal(x: tf.Tensor): tf.Tensor {
  return tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);
}

/** The tanh approximation of GELU (Hendrycks & Gimpel 2016). */
export function geluTanh<T extends tf.Tensor>(x: T): T {
  return tf.tidy(() => {
    const inner = tf.mul(tf.add(x, tf.mul(tf.mul(x, tf.square(x)), 0.044715)), Math.sqrt(2 / Math.PI));
    return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1)) as T;
  });
}

/** Activations by the names that config.json files give them. */
export const activations = {
  gelu,
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  quick_gelu: quickGelu,
  relu: <T extends tf.Tensor>(x: T): T => tf.relu(x),
  silu,
  swish: silu,
};

export type ActivationName = keyof typeof activations;

export const activationNames = Object.keys(activations) as ActivationName[];
