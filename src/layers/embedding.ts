import * as tf from "@tensorflow/tfjs-core";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** A table of vectors, looked up by index. */
export class Embedding extends Layer<[ids: tf.Tensor], tf.Tensor> {
  weight: Parameter<tf.Rank.R2>;

  constructor(count: number, channels: number) {
    super();
    this.weight = new Parameter([count, channels]);
  }

  /** ids [...] of int32, each below the count → [..., C] */
  protected override forward(ids: tf.Tensor): tf.Tensor {
    return tf.gather(this.weight.value, ids as tf.Tensor1D);
  }
}
