import * as tf from "@tensorflow/tfjs-core";
import { ConfigError } from "../../errors.ts";
import type { SiglipTextModel } from "../../models/siglip-text.ts";
import { openTokenizer, type Tokenizer } from "../../tokenizers/index.ts";
import type { Example } from "../dataset.ts";
import type { Draws } from "../draws.ts";

/** B texts, N tokens. */
export interface Tokens extends tf.TensorContainerObject {
  /** [B, N] int32 */
  ids: tf.Tensor2D;
  /** [B, N], 1 for a token and 0 for padding */
  attentionMask: tf.Tensor2D;
}

/** Of the captions of each picture one, of whichever language. */
export function chooseCaptions(examples: readonly Example[], draws: Draws): string[] {
  const chances = draws.uniform(examples.length);
  return examples.map(({ captions }, i) => captions[Math.floor(chances[i]! * captions.length)]!);
}

/** Texts as a text encoder takes them. */
export function tokensOf(texts: readonly string[], tokenizer: Tokenizer): Tokens {
  const encodings = texts.map((text) => tokenizer.encode(text));
  const matrix = (rows: readonly Int32Array[]) =>
    tf.tensor2d(
      rows.flatMap((row) => [...row]),
      [rows.length, tokenizer.length],
      "int32",
    );
  return {
    ids: matrix(encodings.map(({ ids }) => ids)),
    attentionMask: matrix(encodings.map((one) => one.attentionMask)),
  };
}

/** The tokenizer of a folder. @throws ConfigError where it makes what the text encoder in `beside` can't take */
export async function openTokenizerFor(
  { embeddings }: SiglipTextModel,
  { folder, beside }: { folder: string; beside: string },
): Promise<Tokenizer> {
  const [vocabulary, positions] = [embeddings.tokenEmbedding, embeddings.positionEmbedding].map(
    ({ weight }) => weight.shape[0]!,
  ) as [number, number];
  const tokenizer = await openTokenizer(folder, undefined, positions);
  if (tokenizer.vocabularySize <= vocabulary && tokenizer.length <= positions) return tokenizer;
  throw new ConfigError(
    `${folder} makes ${tokenizer.length} tokens out of ${tokenizer.vocabularySize}; the text encoder in ${beside} takes ` +
      `${positions} out of ${vocabulary}.`,
  );
}
