import type * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { padToMultiple } from "../ops/pad.ts";
import { Conv2d } from "./conv2d.ts";
import { Layer } from "./layer.ts";

/** Cuts a picture into square patches and makes a vector of each (Dosovitskiy et al. 2020). */
export class PatchEmbedding extends Layer<[x: tf.Tensor4D], tf.Tensor4D> {
  projection: Conv2d;
  readonly #patch: number;
  readonly #inChannels: number;

  constructor(inChannels: number, channels: number, patch: number) {
    super();
    this.projection = new Conv2d(inChannels, channels, { kernel: patch, stride: patch });
    this.#patch = patch;
    this.#inChannels = inChannels;
  }

  /** x [B, H, W, in] → [B, ⌈H / patch⌉, ⌈W / patch⌉, C] */
  protected override forward(x: tf.Tensor4D): tf.Tensor4D {
    if (x.shape[3] !== this.#inChannels) {
      throw new InputError(`A picture of ${x.shape[3]} channels was given to a model of ${this.#inChannels}.`);
    }
    return this.projection.apply(padToMultiple(x, this.#patch));
  }
}
