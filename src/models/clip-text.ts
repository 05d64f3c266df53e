import * as tf from "@tensorflow/tfjs-core";
import { LayerNorm } from "../layers/layer-norm.ts";
import { Linear } from "../layers/linear.ts";
import { keeping, StagedLayer, type Stages } from "../layers/stages.ts";
import { TextEmbeddings, TextEncoder } from "../layers/text-encoder.ts";
import { causalBias } from "../ops/attention-mask.ts";
import type { ClipTextConfig } from "./clip-text-config.ts";
import type { TextEncoding } from "./text-encoding.ts";

/**
 * CLIP's text transformer (Radford et al. 2021), as transformers' CLIPTextModel and CLIPTextModelWithProjection have it:
 * each token sees itself and those before it, and the text is pooled where it ends. Padding is not masked.
 */
export class ClipTextModel extends StagedLayer<[ids: tf.Tensor2D], TextEncoding> {
  static override readonly fileNames = {
    embeddings: "text_model.embeddings",
    encoder: "text_model.encoder",
    finalLayerNorm: "text_model.final_layer_norm",
  };

  embeddings: TextEmbeddings;
  encoder: TextEncoder;
  finalLayerNorm: LayerNorm<tf.Tensor3D>;
  textProjection?: Linear<tf.Tensor2D>; // only of CLIPTextModelWithProjection
  readonly #endToken: number;

  constructor(config: ClipTextConfig) {
    super();
    const { channels, eps, projectionChannels, endToken } = config;
    this.embeddings = new TextEmbeddings(config);
    this.encoder = new TextEncoder(config);
    this.finalLayerNorm = new LayerNorm(channels, { eps });
    if (projectionChannels) this.textProjection = new Linear(channels, projectionChannels, { bias: false });
    this.#endToken = endToken;
  }

  /** ids [B, N] int32 → hidden states [B, N, C] and pooled [B, P or C]; a stage for each layer */
  override *stages(ids: tf.Tensor2D): Stages<TextEncoding> {
    const x = this.embeddings.apply(ids);
    const bias = causalBias(ids.shape[1]);
    const [last, penultimateHiddenState] = yield* keeping([x, bias], this.encoder.stages(x, bias));

    const lastHiddenState = this.finalLayerNorm.apply(last);
    const end = rowsAt(lastHiddenState, endOf(ids, this.#endToken));
    return { lastHiddenState, penultimateHiddenState, pooled: this.textProjection?.apply(end) ?? end };
  }
}

/** Where each text ends: ids [B, N] → [B]. */
function endOf(ids: tf.Tensor2D, endToken: number): tf.Tensor1D {
  // CLIP's ids end with the highest, 49407. Old config.json files wrongly say 2, and transformers takes it as a sign of that.
  return tf.argMax(endToken === 2 ? ids : tf.cast(tf.equal(ids, endToken), "int32"), -1);
}

/** One row of each text: x [B, N, C], places [B] → [B, C]. */
function rowsAt(x: tf.Tensor3D, places: tf.Tensor1D): tf.Tensor2D {
  const [batch, length, channels] = x.shape;
  const firsts = tf.range(0, batch * length, length, "int32");
  return tf.gather(tf.reshape(x, [batch * length, channels]), tf.add(firsts, tf.cast(places, "int32")));
}
