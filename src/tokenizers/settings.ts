import { z } from "zod";
import { ConfigError } from "../errors.ts";

/** transformers' `AddedToken`: text that is one token wherever it stands, before SentencePiece sees the rest. */
export interface AddedToken {
  content: string;
  /** Counts only where a space, or nothing, is beside it. */
  singleWord: boolean;
  /** Takes the white space on its left. */
  lstrip: boolean;
  rstrip: boolean;
  /** Is looked for in the text in lower case, where the text is made lower case. */
  normalized: boolean;
  special: boolean;
}

/** In the order in which transformers adds those that are not yet in the vocabulary. */
export const specialNames = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;
export type SpecialName = (typeof specialNames)[number];

/** A special token as a file has it: by its text alone, or with how it is looked for. */
export type SpecialToken = string | AddedToken;

/** What a tokenizer's folder says. `undefined` where it leaves the choice to the tokenizer's class. */
export interface TokenizerSettings {
  className: string | undefined;
  maxLength: number | undefined;
  doLowerCase: boolean | undefined;
  legacy: boolean | undefined;
  addPrefixSpace: boolean | undefined;
  keepDummyPrefix: boolean;
  extraIds: number | undefined;
  special: Partial<Record<SpecialName, SpecialToken | null>>;
  additional: SpecialToken[] | undefined;
  /** By id. */
  added: Map<number, AddedToken>;
}

/** The JSON files of a tokenizer's folder, parsed; `undefined` where there is none. */
export interface TokenizerFiles {
  "tokenizer_config.json": unknown;
  "special_tokens_map.json": unknown;
  "added_tokens.json": unknown;
  "tokenizer.json": unknown;
}

// More than any tokenizer has, and few enough to look for all of them at every place of a text.
const mostTokens = 10_000;
const tokenText = z.string().min(1).max(256);
const tokenFlags = {
  content: tokenText,
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().optional(),
  special: z.boolean().default(false),
};
const addedToken = z
  .strictObject({ ...tokenFlags, __type: z.literal("AddedToken").optional() })
  .transform(toAddedToken);
const specialToken = z.union([tokenText, addedToken]);
const largestId = 2 ** 31 - 1;
const id = z.number().int().min(0).max(largestId);

const specialTokens = {
  ...(Object.fromEntries(specialNames.map((name) => [name, specialToken.nullish()])) as Record<
    SpecialName,
    z.ZodOptional<z.ZodNullable<typeof specialToken>>
  >),
  additional_special_tokens: z.array(specialToken).max(mostTokens).nullish(),
};

const tokensFile = z.strictObject(specialTokens);

/** Fields that say nothing about which ids a text has: where files once were, how ids are turned back to text, who made it. */
// biome-ignore format: a list of words
const ignored: ReadonlySet<string> = new Set([
  "auto_map", "chat_template", "clean_up_tokenization_spaces", "max_length", "model_input_names", "name_or_path",
  "pad_to_multiple_of", "pad_token_type_id", "padding", "processor_class", "spaces_between_special_tokens",
  "special_tokens_map_file", "stride", "tokenizer_file", "truncation", "truncation_strategy", "use_fast", "verbose",
  "vocab_file",
]);

const relevant = z.strictObject({
  ...specialTokens,
  tokenizer_class: z.string().nullish(),
  model_max_length: z.number().positive().nullish(),
  do_lower_case: z.boolean().optional(),
  legacy: z.boolean().nullish(),
  add_prefix_space: z.boolean().nullish(),
  from_slow: z.boolean().optional(),
  extra_ids: z.number().int().min(0).max(mostTokens).optional(),
  added_tokens_decoder: z.record(z.string().regex(/^\d{1,10}$/), addedToken).optional(),
  // Sampling would give other ids every time.
  sp_model_kwargs: z.strictObject({ enable_sampling: z.literal(false).optional() }).nullish(),
  padding_side: z.literal("right").optional(),
  truncation_side: z.literal("right").optional(),
  split_special_tokens: z.literal(false).optional(),
  init_inputs: z.tuple([]).optional(),
});

const config = z
  .record(z.string(), z.unknown())
  .transform((fields) =>
    Object.fromEntries(Object.entries(fields).filter(([name]) => !name.startsWith("_") && !ignored.has(name))),
  )
  .pipe(relevant);

const addedTokensFile = z.record(tokenText, id);
const tokenizerFile = z.looseObject({
  added_tokens: z.array(z.strictObject({ ...tokenFlags, id })),
});

function toAddedToken(token: z.infer<z.ZodObject<typeof tokenFlags>>): AddedToken {
  return {
    content: token.content,
    singleWord: token.single_word,
    lstrip: token.lstrip,
    rstrip: token.rstrip,
    normalized: token.normalized ?? !token.special,
    special: token.special,
  };
}

/**
 * The settings in a tokenizer's files, put together as transformers 4.44.2 does (`_from_pretrained` of
 * tokenization_utils_base.py).
 * @throws ConfigError that names the file and the field, for what is wrong and what is not supported.
 */
export function readSettings(files: TokenizerFiles, folder: string): TokenizerSettings {
  const where = `${folder}/tokenizer_config.json`;
  const main = parse(config, files["tokenizer_config.json"], where) ?? {};
  const tokens = main.added_tokens_decoder
    ? { ...namedTokens(main), ...addedTokensOf(main.added_tokens_decoder, where) }
    : tokensOfOldFiles(namedTokens(main), files, folder);
  if (tokens.added.size > mostTokens) {
    throw new ConfigError(
      `${folder} adds ${tokens.added.size} tokens to its vocabulary; at most ${mostTokens} are supported.`,
    );
  }
  return {
    className: main.tokenizer_class ?? undefined,
    maxLength: main.model_max_length === null ? Number.POSITIVE_INFINITY : main.model_max_length,
    doLowerCase: main.do_lower_case,
    legacy: main.legacy ?? undefined,
    addPrefixSpace: main.add_prefix_space === null ? false : main.add_prefix_space,
    keepDummyPrefix: main.from_slow ?? false,
    extraIds: main.extra_ids,
    special: withDetails(tokens.special, tokens.detailed),
    additional: tokens.additional,
    added: tokens.added,
  };
}

interface NamedTokens {
  special: TokenizerSettings["special"];
  additional: SpecialToken[] | undefined;
}

interface AllTokens extends NamedTokens {
  added: Map<number, AddedToken>;
  /** Those whose details hold for a special token that has the same text, too. */
  detailed: Map<string, AddedToken>;
}

function namedTokens(file: z.infer<typeof tokensFile>): NamedTokens {
  const given = specialNames.filter((name) => file[name] !== undefined);
  return {
    special: Object.fromEntries(given.map((name) => [name, file[name]])),
    additional: file.additional_special_tokens ?? undefined,
  };
}

function addedTokensOf(decoder: Record<string, AddedToken>, where: string): Pick<AllTokens, "added" | "detailed"> {
  const tooLarge = Object.keys(decoder).find((key) => Number(key) > largestId);
  if (tooLarge) throw new ConfigError(`${where}: added_tokens_decoder has the id ${tooLarge}, which is too large.`);
  return {
    added: new Map(Object.entries(decoder).map(([key, token]) => [Number(key), token])),
    detailed: new Map(Object.values(decoder).map((token) => [token.content, token])),
  };
}

/** Before `added_tokens_decoder`, the tokens stood in three files. Today's files are not read for them where it is there. */
function tokensOfOldFiles({ special, additional }: NamedTokens, files: TokenizerFiles, folder: string): AllTokens {
  const read = <T>(schema: z.ZodType<T>, name: keyof TokenizerFiles) => parse(schema, files[name], `${folder}/${name}`);
  const map = namedTokens(read(tokensFile, "special_tokens_map.json") ?? {});
  const named: NamedTokens = {
    special: { ...special, ...map.special },
    additional: map.additional ? [...(additional ?? []), ...map.additional] : additional,
  };
  const added = new Map<number, AddedToken>();
  const detailed = new Map<string, AddedToken>();
  const specials = new Set(
    [...Object.values(named.special), ...(named.additional ?? [])].map((token) => token && contentOf(token)),
  );
  for (const [content, key] of Object.entries(read(addedTokensFile, "added_tokens.json") ?? {})) {
    const isSpecial = specials.has(content);
    added.set(key, { ...plainToken(content), normalized: !isSpecial, special: isSpecial });
  }
  for (const token of read(tokenizerFile, "tokenizer.json")?.added_tokens ?? []) {
    added.set(token.id, toAddedToken(token));
    detailed.set(token.content, toAddedToken(token));
  }
  return { ...named, added, detailed };
}

function withDetails(special: NamedTokens["special"], detailed: AllTokens["detailed"]): NamedTokens["special"] {
  return Object.fromEntries(
    Object.entries(special).map(([name, token]) => [name, token && (detailed.get(contentOf(token)) ?? token)]),
  );
}

export const contentOf = (token: SpecialToken): string => (typeof token === "string" ? token : token.content);

/** A token given by its text alone. */
export function plainToken(content: string): AddedToken {
  return { content, singleWord: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

function parse<T>(schema: z.ZodType<T>, json: unknown, path: string): T | undefined {
  if (json === undefined) return undefined;
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    throw new ConfigError(
      `${path}: the field ${issue.keys.join(", ")} is not known here, and could change the ids. If it cannot, take it out.`,
    );
  }
  const field = issue.path.map(String).join(".") || "the file";
  throw new ConfigError(`${path}: ${field} has a value that is not supported (${issue.message}).`);
}
