import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { type ActivationName, activations } from "../ops/activations.ts";
import { scaledDotProductAttention } from "../ops/attention.ts";
import { Embedding } from "./embedding.ts";
import { Layer } from "./layer.ts";
import { LayerNorm } from "./layer-norm.ts";
import { Linear } from "./linear.ts";
import { StagedLayer, type Stages } from "./stages.ts";

// B pictures' prompts, N tokens, C channels.

/** The sizes of a pre-norm text transformer (Radford et al. 2019), as CLIP and SigLIP have it. */
export interface TextEncoderSizes {
  channels: number;
  mlpChannels: number;
  layers: number;
  heads: number;
  activation: ActivationName;
  /** Added to the variance in the norms. */
  eps: number;
}

/** A vector for the token plus a vector for its place. */
export class TextEmbeddings extends Layer<[ids: tf.Tensor2D], tf.Tensor3D> {
  tokenEmbedding: Embedding;
  positionEmbedding: Embedding;
  readonly #positions: number;

  constructor({ vocabSize, positions, channels }: { vocabSize: number; positions: number; channels: number }) {
    super();
    this.tokenEmbedding = new Embedding(vocabSize, channels);
    this.positionEmbedding = new Embedding(positions, channels);
    this.#positions = positions;
  }

  /** ids [B, N] int32 → [B, N, C] */
  protected override forward(ids: tf.Tensor2D): tf.Tensor3D {
    const length = ids.shape[1];
    if (length > this.#positions) {
      throw new InputError(
        `A text encoder of ${this.#positions} positions can't take ${length} tokens: cut the prompt.`,
      );
    }
    const places = this.positionEmbedding.apply(tf.range(0, length, 1, "int32")); // [N, C]
    return tf.add(this.tokenEmbedding.apply(ids), places) as tf.Tensor3D;
  }
}

/** Multi-head self-attention (Vaswani et al. 2017) with a bias in every projection. */
export class TextSelfAttention extends Layer<[x: tf.Tensor3D, bias?: tf.Tensor4D | undefined], tf.Tensor3D> {
  qProj: Linear<tf.Tensor3D>;
  kProj: Linear<tf.Tensor3D>;
  vProj: Linear<tf.Tensor3D>;
  outProj: Linear<tf.Tensor3D>;
  readonly #heads: number;

  constructor(channels: number, heads: number) {
    super();
    this.qProj = new Linear(channels, channels);
    this.kProj = new Linear(channels, channels);
    this.vProj = new Linear(channels, channels);
    this.outProj = new Linear(channels, channels);
    this.#heads = heads;
  }

  /** x [B, N, C], bias of the scores [1 or B, 1, 1 or N, N] → [B, N, C] */
  protected override forward(x: tf.Tensor3D, bias?: tf.Tensor4D): tf.Tensor3D {
    const [q, k, v] = [this.qProj.apply(x), this.kProj.apply(x), this.vProj.apply(x)];
    return this.outProj.apply(scaledDotProductAttention(q, k, v, { heads: this.#heads, bias }));
  }
}

export class TextMlp extends Layer<[x: tf.Tensor3D], tf.Tensor3D> {
  fc1: Linear<tf.Tensor3D>;
  fc2: Linear<tf.Tensor3D>;
  readonly #activation: ActivationName;

  constructor({ channels, mlpChannels, activation }: TextEncoderSizes) {
    super();
    this.fc1 = new Linear(channels, mlpChannels);
    this.fc2 = new Linear(mlpChannels, channels);
    this.#activation = activation;
  }

  /** x [B, N, C] → [B, N, C] */
  protected override forward(x: tf.Tensor3D): tf.Tensor3D {
    return this.fc2.apply(activations[this.#activation](this.fc1.apply(x)));
  }
}

/** Norm, attention, plus the input; norm, MLP, plus its input. */
export class TextEncoderLayer extends Layer<[x: tf.Tensor3D, bias?: tf.Tensor4D | undefined], tf.Tensor3D> {
  layerNorm1: LayerNorm<tf.Tensor3D>;
  selfAttn: TextSelfAttention;
  layerNorm2: LayerNorm<tf.Tensor3D>;
  mlp: TextMlp;

  constructor(sizes: TextEncoderSizes) {
    super();
    const { channels, heads, eps } = sizes;
    this.layerNorm1 = new LayerNorm(channels, { eps });
    this.selfAttn = new TextSelfAttention(channels, heads);
    this.layerNorm2 = new LayerNorm(channels, { eps });
    this.mlp = new TextMlp(sizes);
  }

  /** x [B, N, C], bias of the scores → [B, N, C] */
  protected override forward(x: tf.Tensor3D, bias?: tf.Tensor4D): tf.Tensor3D {
    const h: tf.Tensor3D = tf.add(x, this.selfAttn.apply(this.layerNorm1.apply(x), bias));
    return tf.add(h, this.mlp.apply(this.layerNorm2.apply(h)));
  }
}

/** The stack of layers, without the final norm. */
export class TextEncoder extends StagedLayer<
  [x: tf.Tensor3D, bias?: tf.Tensor4D | undefined],
  [last: tf.Tensor3D, penultimate: tf.Tensor3D]
> {
  layers: TextEncoderLayer[];

  constructor(sizes: TextEncoderSizes) {
    super();
    this.layers = Array.from({ length: sizes.layers }, () => new TextEncoderLayer(sizes));
  }

  /** x [B, N, C], bias of the scores → what the last layer gives and what it was given, each [B, N, C] */
  override *stages(x: tf.Tensor3D, bias?: tf.Tensor4D): Stages<[last: tf.Tensor3D, penultimate: tf.Tensor3D]> {
    const states: tf.Tensor3D[] = [];
    for (const layer of this.layers) {
      states.push(layer.apply(states.at(-1) ?? x, bias));
      yield states.slice(-2);
    }
    return [states.at(-1)!, states.at(-2) ?? x];
  }
}
