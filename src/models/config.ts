import * as z from "zod";
import { readConfig } from "../config.ts";

/**
 * Fields of diffusers' and transformers' config.json files that cannot change what a model computes at inference. They are
 * passed over, unless a schema declares them. Every other field that a schema does not know is refused.
 */
const harmless = new Set([
  ...["architectures", "auto_map", "model_type", "name_or_path", "transformers_version", "torch_dtype", "dtype"],
  ...["gradient_checkpointing", "initializer_factor", "initializer_range", "use_bfloat16", "use_cache"],
  // What is dropped, in training only.
  ...["attention_dropout", "attention_probs_dropout_prob", "classifier_dropout", "drop_path_rate", "dropout"],
  ...["hidden_dropout_prob", "resid_pdrop", "embd_pdrop", "attn_pdrop"],
  // What the Python call returns.
  ...["output_attentions", "output_hidden_states", "output_scores", "return_dict", "return_dict_in_generate"],
  ...["torchscript", "tf_legacy_loss", "chunk_size_feed_forward"],
  // How text would be generated, which every old config.json of transformers carries.
  ...["bad_words_ids", "begin_suppress_tokens", "decoder_start_token_id", "diversity_penalty", "do_sample"],
  ...["early_stopping", "encoder_no_repeat_ngram_size", "exponential_decay_length_penalty", "forced_bos_token_id"],
  ...["forced_eos_token_id", "length_penalty", "max_length", "min_length", "no_repeat_ngram_size", "num_beam_groups"],
  ...["num_beams", "num_return_sequences", "remove_invalid_values", "repetition_penalty", "suppress_tokens"],
  ...["temperature", "top_k", "top_p", "typical_p"],
  // Of encoder-decoders and of fine-tuning.
  ...["cross_attention_hidden_size", "finetuning_task", "is_encoder_decoder", "prefix", "sep_token_id"],
  ...["task_specific_params", "tie_encoder_decoder", "tie_word_embeddings", "tokenizer_class"],
]);

/** Channels of a layer, tokens of a vocabulary: a whole number, at least 1. The bound keeps a lying file from filling memory. */
export const size = z.int().min(1).max(1_000_000);

/** Layers of a model: a whole number, at least 1. */
export const layerCount = z.int().min(1).max(1000);

/**
 * Reads a model's config.json that was parsed, as `readConfig` does, passing over the harmless fields above.
 * @throws ConfigError that names `where` and the first field that is missing, unknown, or has a value that is not supported
 */
export function parseConfig<S extends z.ZodObject>(schema: S, json: unknown, where: string): z.output<S> {
  return readConfig(schema, json, where, { passOver: harmless });
}
