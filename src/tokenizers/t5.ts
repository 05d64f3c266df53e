import { ConfigError } from "../errors.ts";
import type { SentencePiece } from "./sentencepiece.ts";
import { SentencePieceTokenizer, underline } from "./sentencepiece-tokenizer.ts";
import { contentOf, plainToken, type SpecialToken, type TokenizerSettings } from "./settings.ts";

/**
 * T5's, which Japanese Stable Diffusion uses, too (tokenization_t5.py of transformers 4.44.2). `do_lower_case` counts,
 * although T5Tokenizer forgets it when it loads: the folders that have it come with code that sets it afterwards.
 */
export class T5Tokenizer extends SentencePieceTokenizer {
  static readonly defaultLength = undefined;
  static addsDummyPrefix = ({ legacy, keepDummyPrefix }: TokenizerSettings): boolean =>
    legacy !== false || keepDummyPrefix;
  private readonly legacy: boolean;
  private readonly addPrefixSpace: boolean;

  constructor(settings: TokenizerSettings, sentencePiece: SentencePiece, length: number, where: string) {
    const { eos_token = "</s>", unk_token = "<unk>", pad_token = "<pad>" } = settings.special;
    const { additional, sentinels } = withSentinels(settings, where);
    // As transformers gives them: the last sentinel comes right after the vocabulary.
    const first = sentencePiece.model.pieces.length - 1 + (settings.extraIds ?? defaultExtraIds);
    const sentinelTokens = Array.from({ length: sentinels }, (_, i) => [first - i, sentinel(i)] as const);
    super({
      sentencePiece,
      special: {
        ...settings.special,
        eos_token: plain(eos_token),
        unk_token: plain(unk_token),
        pad_token: plain(pad_token),
      },
      additional,
      added: new Map([...sentinelTokens, ...settings.added]),
      lower: settings.doLowerCase ?? false,
      length,
      where,
    });
    this.legacy = settings.legacy ?? true;
    this.addPrefixSpace = settings.addPrefixSpace ?? true;
  }

  protected override tokenize(text: string): string[] {
    if (this.legacy || text === "") return this.addedTokens.split(text, (rest) => this.sentencePiece.encode(rest));
    const prefix = this.addPrefixSpace ? underline : "";
    const tokens = this.addedTokens.split(prefix + text.replaceAll(underline, " "), (rest) =>
      rest.startsWith(underline) || rest.startsWith(" ") ? this.encodeAfterUnk(rest) : this.sentencePiece.encode(rest),
    );
    return this.withoutLonePrefix(tokens);
  }
}

const defaultExtraIds = 100;

const sentinel = (i: number) => ({ ...plainToken(`<extra_id_${i}>`), lstrip: true, rstrip: true });

const plain = (token: SpecialToken | null): SpecialToken | null =>
  typeof token === "string" ? plainToken(token) : token;

/** The additional tokens, sentinels among them, and how many of those have their fixed ids. */
function withSentinels(settings: TokenizerSettings, where: string): { additional: SpecialToken[]; sentinels: number } {
  const { additional, extraIds = defaultExtraIds } = settings;
  const all = Array.from({ length: extraIds }, (_, i) => sentinel(i).content);
  if (!additional) return { additional: all, sentinels: extraIds };
  const named = additional.filter((token) => contentOf(token).includes("<extra_id_")).length;
  if (named === 0) return { additional: [...additional, ...all], sentinels: 0 };
  if (extraIds > 0 && extraIds !== named) {
    throw new ConfigError(
      `${where}/tokenizer_config.json: extra_ids is ${extraIds}, but additional_special_tokens has ${named} of them. Make them agree.`,
    );
  }
  return { additional, sentinels: named };
}
