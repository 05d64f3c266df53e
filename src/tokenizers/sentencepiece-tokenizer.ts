import { ConfigError, InputError } from "../errors.ts";
import { AddedTokens } from "./added-tokens.ts";
import { strip } from "./python-text.ts";
import type { SentencePiece } from "./sentencepiece.ts";
import { contentOf, type SpecialName, type SpecialToken, specialNames, type TokenizerSettings } from "./settings.ts";
import { type Encoding, longestPrompt, type Tokenizer } from "./tokenizer.ts";

/** What `SentencePieceTokenizer` is made of, all defaults of its class filled in. */
export interface Vocabulary {
  sentencePiece: SentencePiece;
  special: Partial<Record<SpecialName, SpecialToken | null>>;
  additional: readonly SpecialToken[];
  added: TokenizerSettings["added"];
  lower: boolean;
  length: number;
  /** The folder, for messages. */
  where: string;
}

export const underline = "▁";

/** What SiglipTokenizer and T5Tokenizer share: added tokens, then SentencePiece, `</s>` at the end, padding on the right. */
export abstract class SentencePieceTokenizer implements Tokenizer {
  readonly length: number;
  readonly padId: number;
  readonly eosId: number;
  protected readonly sentencePiece: SentencePiece;
  protected readonly addedTokens: AddedTokens;
  protected readonly unkToken: string;

  constructor({ sentencePiece, special, additional, added, lower, length, where }: Vocabulary) {
    const specials = specialNames.flatMap((name) => special[name] ?? []);
    this.sentencePiece = sentencePiece;
    this.addedTokens = new AddedTokens(added, [...specials, ...additional], sentencePiece.model.pieces, { lower });
    this.length = length;
    this.padId = this.idOf(required("pad_token"));
    this.eosId = this.idOf(required("eos_token"));
    this.unkToken = required("unk_token");

    function required(name: SpecialName): string {
      const token = special[name];
      if (token) return contentOf(token);
      throw new ConfigError(`${where}/tokenizer_config.json: ${name} is null, but this tokenizer needs one.`);
    }
  }

  get vocabularySize(): number {
    return 1 + Math.max(this.sentencePiece.model.pieces.length - 1, this.addedTokens.highestId);
  }

  encode(text: string): Encoding {
    if (text.length > longestPrompt) {
      throw new InputError(
        `The prompt is ${text.length} characters long, of which the model can read ${this.length} tokens. Shorten it to ${longestPrompt} characters at most.`,
      );
    }
    const tokens = this.tokenize(text.replace(/\p{Surrogate}/gu, "\ufffd"));
    const ids = tokens.slice(0, this.length - 1).map((token) => this.idOf(token));
    if (ids.at(-1) !== this.eosId) ids.push(this.eosId);
    const encoding: Encoding = {
      ids: new Int32Array(this.length).fill(this.padId),
      attentionMask: new Int32Array(this.length).fill(1, 0, ids.length),
    };
    encoding.ids.set(ids);
    const rest = tokens.slice(this.length - 1);
    return rest.length > 0 ? { ...encoding, truncated: strip(this.sentencePiece.decode(rest)) } : encoding;
  }

  close(): void {
    this.sentencePiece.close();
  }

  /** The whole text as tokens. */
  protected abstract tokenize(text: string): string[];

  /**
   * A text that has no dummy prefix of SentencePiece's own, which strips white space in front: it is encoded after the
   * unknown token, whose pieces are then left out.
   */
  protected encodeAfterUnk(text: string): string[] {
    const skipped = this.sentencePiece.encode(this.unkToken).length;
    const pieces = this.sentencePiece.encode(this.unkToken + text);
    return pieces.length >= skipped ? pieces.slice(skipped) : pieces;
  }

  /** Without the "▁" that was put before the text, where a special token follows at once. */
  protected withoutLonePrefix(tokens: string[]): string[] {
    const isLone = tokens.length > 1 && tokens[0] === underline && this.addedTokens.specials.has(tokens[1]!);
    return isLone ? tokens.slice(1) : tokens;
  }

  private idOf(token: string): number {
    const { ids, unknownId } = this.sentencePiece.model;
    return this.addedTokens.idOf(token) ?? ids.get(token) ?? unknownId;
  }
}
