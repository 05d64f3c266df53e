import { collapseSpaces, removePunctuation, strip } from "./python-text.ts";
import type { SentencePiece } from "./sentencepiece.ts";
import { SentencePieceTokenizer, underline } from "./sentencepiece-tokenizer.ts";
import { plainToken, type SpecialToken, type TokenizerSettings } from "./settings.ts";

/** SigLIP's: lower case, no ASCII punctuation, single spaces (tokenization_siglip.py of transformers 4.44.2). */
export class SiglipTokenizer extends SentencePieceTokenizer {
  static readonly defaultLength = 64;
  static addsDummyPrefix = (): boolean => false;

  constructor(settings: TokenizerSettings, sentencePiece: SentencePiece, length: number, where: string) {
    const { eos_token = "</s>", unk_token = "<unk>", pad_token = "</s>" } = settings.special;
    super({
      sentencePiece,
      special: {
        ...settings.special,
        eos_token: greedy(eos_token),
        unk_token: greedy(unk_token),
        pad_token: greedy(pad_token),
      },
      additional: settings.additional ?? [],
      added: settings.added,
      lower: settings.doLowerCase ?? true,
      length,
      where,
    });
  }

  protected override tokenize(text: string): string[] {
    const tokens = this.addedTokens.split(underline + text.replaceAll(underline, " "), (rest) =>
      this.encodeAfterUnk(canonicalize(rest)),
    );
    return this.withoutLonePrefix(tokens);
  }
}

const canonicalize = (text: string): string => strip(collapseSpaces(removePunctuation(text)));

function greedy(token: SpecialToken | null): SpecialToken | null {
  return typeof token === "string" ? { ...plainToken(token), lstrip: true, rstrip: true } : token;
}
