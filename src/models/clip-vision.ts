import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { Conv2d } from "../layers/conv2d.ts";
import { Embedding } from "../layers/embedding.ts";
import { Layer } from "../layers/layer.ts";
import { LayerNorm } from "../layers/layer-norm.ts";
import { Linear } from "../layers/linear.ts";
import { Parameter } from "../layers/parameter.ts";
import { keeping, StagedLayer, type Stages } from "../layers/stages.ts";
import { TextEncoder } from "../layers/text-encoder.ts";
import type { ClipVisionConfig } from "./clip-vision-config.ts";

// B batch, H W height and width of a picture, N its patches, C channels, P those of the pooled vector.

/** What an image tower makes of pictures. */
export type ClipVision = {
  /** [B, 1 + N, C], before the last norm; the first row belongs to no patch. */
  lastHiddenState: tf.Tensor3D;
  /** [B, P], or [B, C] where nothing is projected. */
  pooled: tf.Tensor2D;
};

/**
 * CLIP's image tower (Radford et al. 2021): a transformer over the patches of a picture and one token more, which becomes the
 * picture's vector (Dosovitskiy et al. 2020). transformers' CLIPVisionModel and CLIPVisionModelWithProjection; also that of
 * Mitsua Japanese CLIP, beside SigLIP's text transformer.
 */
export class ClipVisionModel extends StagedLayer<[pictures: tf.Tensor4D], ClipVision> {
  static override readonly fileNames = {
    embeddings: "vision_model.embeddings",
    preLayerNorm: "vision_model.pre_layrnorm",
    encoder: "vision_model.encoder",
    postLayerNorm: "vision_model.post_layernorm",
  };

  embeddings: VisionEmbeddings;
  preLayerNorm: LayerNorm<tf.Tensor3D>;
  encoder: TextEncoder;
  postLayerNorm: LayerNorm<tf.Tensor2D>;
  visualProjection?: Linear<tf.Tensor2D>; // only of CLIPVisionModelWithProjection
  readonly config: ClipVisionConfig;

  constructor(config: ClipVisionConfig) {
    super();
    const { channels, eps, projectionChannels } = config;
    this.embeddings = new VisionEmbeddings(config);
    this.preLayerNorm = new LayerNorm(channels, { eps });
    this.encoder = new TextEncoder(config);
    this.postLayerNorm = new LayerNorm(channels, { eps });
    if (projectionChannels) this.visualProjection = new Linear(channels, projectionChannels, { bias: false });
    this.config = config;
  }

  /**
   * pictures [B, H, W, 3], prepared as the folder's preprocessor_config.json says → hidden states and pooled; a stage a layer
   * @throws InputError for pictures of another size
   */
  override *stages(pictures: tf.Tensor4D): Stages<ClipVision> {
    const x = this.preLayerNorm.apply(this.embeddings.apply(pictures));
    const [lastHiddenState] = yield* keeping([x], this.encoder.stages(x));

    const first = tf.squeeze(tf.slice(lastHiddenState, [0, 0, 0], [-1, 1, -1]), [1]) as tf.Tensor2D;
    const pooled = this.postLayerNorm.apply(first);
    return { lastHiddenState, pooled: this.visualProjection?.apply(pooled) ?? pooled };
  }
}

/** A vector for each patch and one before them, plus a vector for the place. */
class VisionEmbeddings extends Layer<[pictures: tf.Tensor4D], tf.Tensor3D> {
  classEmbedding: Parameter<tf.Rank.R1>;
  patchEmbedding: Conv2d;
  positionEmbedding: Embedding;
  readonly #config: ClipVisionConfig;

  constructor(config: ClipVisionConfig) {
    super();
    const { inChannels, channels, imageSize, patch } = config;
    this.classEmbedding = new Parameter([channels]);
    this.patchEmbedding = new Conv2d(inChannels, channels, { kernel: patch, stride: patch, bias: false });
    this.positionEmbedding = new Embedding(Math.floor(imageSize / patch) ** 2 + 1, channels);
    this.#config = config;
  }

  /** pictures [B, H, W, in] → [B, 1 + N, C] */
  protected override forward(pictures: tf.Tensor4D): tf.Tensor3D {
    this.#checkSize(pictures);
    const [batch, channels] = [pictures.shape[0], this.#config.channels];
    const patches = tf.reshape(this.patchEmbedding.apply(pictures), [batch, -1, channels]);
    const first = tf.tile(tf.reshape(this.classEmbedding.value, [1, 1, channels]), [batch, 1, 1]);
    const tokens = tf.concat([first, patches], 1) as tf.Tensor3D; // [B, 1 + N, C]
    return tf.add(tokens, this.positionEmbedding.apply(tf.range(0, tokens.shape[1], 1, "int32"))) as tf.Tensor3D;
  }

  #checkSize({ shape: [, height, width, channels] }: tf.Tensor4D): void {
    const { imageSize, inChannels } = this.#config;
    if (height === imageSize && width === imageSize && channels === inChannels) return;
    throw new InputError(
      `This image tower takes pictures of ${imageSize} × ${imageSize} pixels and ${inChannels} channels; ` +
        `${width} × ${height} and ${channels} were given. Prepare them as its preprocessor_config.json says.`,
    );
  }
}
