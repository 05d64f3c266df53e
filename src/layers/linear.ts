import * as tf from "@tensorflow/tfjs-core";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** y = x Wᵀ + b over the last axis. The weight stays [out, in], as PyTorch stores it. */
export class Linear<T extends tf.Tensor = tf.Tensor> extends Layer<[x: T], T> {
  weight: Parameter<tf.Rank.R2>;
  bias?: Parameter<tf.Rank.R1>;

  constructor(inChannels: number, outChannels: number, { bias = true } = {}) {
    super();
    this.weight = new Parameter([outChannels, inChannels]);
    if (bias) this.bias = new Parameter([outChannels]);
  }

  /** x [..., in] → [..., out] */
  protected override forward(x: T): T {
    const [outChannels, inChannels] = this.weight.shape as [number, number];
    // One matrix of rows, not a batch of small ones: backends multiply a single large matrix fastest.
    const rows = tf.reshape(x, [-1, inChannels]);
    const product = tf.matMul(rows, this.weight.value, false, true);
    const y = this.bias ? tf.add(product, this.bias.value) : product;
    return tf.reshape(y, [...x.shape.slice(0, -1), outChannels]) as T;
  }
}
