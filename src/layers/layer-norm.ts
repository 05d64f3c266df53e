import type * as tf from "@tensorflow/tfjs-core";
import { layerNorm } from "../ops/layer-norm.ts";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** Layer normalization (Ba et al. 2016) over the last axis. */
export class LayerNorm<T extends tf.Tensor = tf.Tensor> extends Layer<[x: T], T> {
  weight: Parameter<tf.Rank.R1>;
  bias: Parameter<tf.Rank.R1>;
  readonly #eps: number;

  constructor(channels: number, { eps = 1e-5 } = {}) {
    super();
    this.weight = new Parameter([channels]);
    this.bias = new Parameter([channels]);
    this.#eps = eps;
  }

  /** x [..., C] → the same shape */
  protected override forward(x: T): T {
    return layerNorm(x, this.weight.value, this.bias.value, { eps: this.#eps });
  }
}
