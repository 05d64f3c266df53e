import * as z from "zod";
import { ConfigError } from "../errors.ts";

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

/** A field that is only supported at this value, which is also its default. */
export function only<T extends string | number | boolean>(value: T): z.ZodType<T | null | undefined> {
  return z.literal(value).nullish();
}

/** A field that is passed over, whatever it holds. */
export const ignored = z.unknown().optional();

/** A field that is only supported where it is null or absent. */
export const absent = z.null("it must be null or left out").optional();

/**
 * Reads a config.json that was parsed. Fields whose name starts with "_", and the harmless ones above, are passed over.
 * @param where the file's path, for messages
 * @throws ConfigError that names `where` and the first field that is missing, unknown, or has a value that is not supported
 */
export function parseConfig<S extends z.ZodObject>(schema: S, json: unknown, where: string): z.output<S> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new ConfigError(`${where} must hold a JSON object, with a field for each setting.`);
  }
  const isRead = (field: string) =>
    Object.hasOwn(schema.shape, field) || !(field.startsWith("_") || harmless.has(field));
  const fields = Object.fromEntries(Object.entries(json).filter(([field]) => isRead(field)));
  const result = schema.strict().safeParse(fields);
  if (result.success) return result.data as z.output<S>;
  throw new ConfigError(`${where}: ${explain(result.error.issues[0]!, fields)}`);
}

type Issue = z.core.$ZodIssue;

function explain(issue: Issue, json: unknown): string {
  if (issue.code === "unrecognized_keys") {
    const path = [...issue.path, issue.keys[0]!];
    return `the field ${fieldName(path)} is not supported (its value is ${short(valueAt(json, path))}).`;
  }
  if (issue.code === "invalid_union") {
    const branches = issue.errors.map((errors) => errors[0]!).filter((error) => error !== undefined);
    const deepest = branches.reduce((a, b) => (b.path.length > a.path.length ? b : a), branches[0]!);
    if (deepest.path.length > 0) return explain({ ...deepest, path: [...issue.path, ...deepest.path] }, json);
    return refuse(issue.path, json, [...new Set(branches.map(allowed))].join(", or "));
  }
  return refuse(issue.path, json, allowed(issue));
}

function refuse(path: readonly PropertyKey[], json: unknown, expected: string): string {
  const value = valueAt(json, path);
  if (path.length === 0) return `${expected}.`;
  if (value === undefined) return `the field ${fieldName(path)} is missing.`;
  return `the field ${fieldName(path)} is ${short(value)}, which is not supported: ${expected}.`;
}

function allowed(issue: Issue): string {
  if (issue.code !== "invalid_value") return issue.message.replace(/^(Invalid input|Too big|Too small): /, "");
  const values = issue.values.map((value) => (typeof value === "bigint" ? `${value}` : JSON.stringify(value)));
  return `it must be ${values.join(" or ")}`;
}

function fieldName(path: readonly PropertyKey[]): string {
  return `"${path.map(String).join(".")}"`;
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce((value: unknown, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], json);
}

function short(value: unknown): string {
  const text = JSON.stringify(value) ?? "undefined";
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
