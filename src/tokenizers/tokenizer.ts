/** A prompt as a text encoder takes it. */
export interface Encoding {
  /** `length` ids, the places after the text filled with the padding token. */
  ids: Int32Array;
  /** 1 where `ids` holds a token of the text or its end, 0 where it holds padding. */
  attentionMask: Int32Array;
  /** What was cut from the end because it did not fit, as the tokenizer saw it (so perhaps in lower case). Absent where all fitted. */
  truncated?: string;
}

/** Strings to ids, without tensors. `openTokenizer` opens one. */
export interface Tokenizer {
  /** How many ids every encoding has. */
  readonly length: number;
  /** All ids are below this. */
  readonly vocabularySize: number;
  readonly padId: number;
  readonly eosId: number;
  readonly bosId?: number;

  /**
   * The ids of a prompt, cut and padded to `length`. A half of a surrogate pair that stands alone counts as U+FFFD, as
   * in every UTF-8 encoder (Python refuses it).
   * @throws InputError where the prompt has more than `longestPrompt` characters.
   */
  encode(text: string): Encoding;

  /** Frees the tokenizer's memory. It cannot encode afterwards. */
  close(): void;
}

/** In UTF-16 units. More than any encoder can use, and little enough to be encoded in about a second. */
export const longestPrompt = 1_048_576;
