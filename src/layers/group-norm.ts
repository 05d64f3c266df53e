import type * as tf from "@tensorflow/tfjs-core";
import { groupNorm } from "../ops/group-norm.ts";
import { Layer } from "./layer.ts";
import { Parameter } from "./parameter.ts";

/** Group normalization (Wu & He 2018) over the cells and the channels of each group. */
export class GroupNorm<T extends tf.Tensor = tf.Tensor4D> extends Layer<[x: T], T> {
  weight: Parameter<tf.Rank.R1>;
  bias: Parameter<tf.Rank.R1>;
  readonly #groups: number;
  readonly #eps: number;

  constructor(groups: number, channels: number, { eps }: { eps: number }) {
    super();
    this.weight = new Parameter([channels]);
    this.bias = new Parameter([channels]);
    this.#groups = groups;
    this.#eps = eps;
  }

  /** x [B, ..., C] → the same shape */
  protected override forward(x: T): T {
    return groupNorm(x, this.weight.value, this.bias.value, { groups: this.#groups, eps: this.#eps });
  }
}
