import type * as tf from "@tensorflow/tfjs-core";

/** What a text encoder makes of B texts of N tokens. */
export type TextEncoding = {
  /** After the last layer and the final norm, [B, N, C]. */
  lastHiddenState: tf.Tensor3D;
  /** What the last layer was given, without a norm, [B, N, C]: transformers' `hidden_states[-2]`. */
  penultimateHiddenState: tf.Tensor3D;
  /** One vector for each text, [B, P]. */
  pooled: tf.Tensor2D;
};
