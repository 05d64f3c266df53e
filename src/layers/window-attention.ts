import * as tf from "@tensorflow/tfjs-core";
import { scaledDotProductAttention } from "../ops/attention.ts";
import { Layer } from "./layer.ts";
import { Linear } from "./linear.ts";
import { Parameter } from "./parameter.ts";

export interface WindowAttentionOptions {
  heads: number;
  /** Patches along a side of the window. */
  window: number;
  qkvBias: boolean;
}

/** Self-attention within windows, with a learned bias for each pair of relative places (Liu et al. 2021). */
export class WindowAttention extends Layer<[windows: tf.Tensor3D, mask?: tf.Tensor3D | undefined], tf.Tensor3D> {
  static override readonly fileNames = {
    relativePositionBiasTable: "self.relative_position_bias_table",
    query: "self.query",
    key: "self.key",
    value: "self.value",
    dense: "output.dense",
  };

  relativePositionBiasTable: Parameter<tf.Rank.R2>;
  query: Linear<tf.Tensor3D>;
  key: Linear<tf.Tensor3D>;
  value: Linear<tf.Tensor3D>;
  dense: Linear<tf.Tensor3D>;
  readonly #heads: number;
  readonly #window: number;

  constructor(channels: number, { heads, window, qkvBias }: WindowAttentionOptions) {
    super();
    this.relativePositionBiasTable = new Parameter([(2 * window - 1) ** 2, heads]);
    this.query = new Linear(channels, channels, { bias: qkvBias });
    this.key = new Linear(channels, channels, { bias: qkvBias });
    this.value = new Linear(channels, channels, { bias: qkvBias });
    this.dense = new Linear(channels, channels);
    this.#heads = heads;
    this.#window = window;
  }

  /** windows [B · K, M, C] of M patches each, K to a picture; mask [K, M, M], added to the scores → [B · K, M, C] */
  protected override forward(windows: tf.Tensor3D, mask?: tf.Tensor3D): tf.Tensor3D {
    const [q, k, v] = [this.query.apply(windows), this.key.apply(windows), this.value.apply(windows)];
    let bias = this.#relativePositionBias(); // [1, heads, M, M]
    if (mask) {
      const perWindow: tf.Tensor4D = tf.add(bias, tf.expandDims(mask, 1)); // [K, heads, M, M]
      // Not tf.tile, which takes 100 times as long on wasm.
      bias = tf.concat(Array.from({ length: windows.shape[0] / mask.shape[0] }, () => perWindow));
    }
    return this.dense.apply(scaledDotProductAttention(q, k, v, { heads: this.#heads, bias }));
  }

  #relativePositionBias(): tf.Tensor4D {
    const patches = this.#window ** 2;
    const rows = tf.gather(this.relativePositionBiasTable.value, relativePositionIndex(this.#window)); // [M · M, heads]
    return tf.reshape(tf.transpose(rows), [1, this.#heads, patches, patches]);
  }
}

/** The row of the bias table for each pair of places in a window, [M · M]. Checkpoints hold it too; it is computed here. */
function relativePositionIndex(window: number): tf.Tensor1D {
  const patches = window ** 2;
  const index = new Int32Array(patches ** 2);
  for (let to = 0; to < patches; to++) {
    for (let from = 0; from < patches; from++) {
      const down = Math.floor(to / window) - Math.floor(from / window) + window - 1;
      const right = (to % window) - (from % window) + window - 1;
      index[to * patches + from] = down * (2 * window - 1) + right;
    }
  }
  return tf.tensor1d(index, "int32");
}
