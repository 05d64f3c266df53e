import * as tf from "@tensorflow/tfjs-core";
import { kernelOr } from "./kernel.ts";

/** Σ x², the square of the norm. */
export function sumOfSquares(x: tf.Tensor): tf.Scalar {
  const gradient = (dy: tf.Tensor, saved: tf.NamedTensorMap) => ({ x: tf.mul(dy, tf.mul(saved.x!, 2)) });
  return kernelOr({ kernel: "SumOfSquares", inputs: { x }, gradient }, () => tf.sum<tf.Scalar>(tf.square(x)));
}
