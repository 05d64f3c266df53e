import { escapeForPattern, lowerCase, stripLeft, stripRight } from "./python-text.ts";
import { type AddedToken, contentOf, plainToken, type SpecialToken } from "./settings.ts";

/**
 * The tokens that are found in a text before SentencePiece sees the rest of it: the special ones and those that a folder
 * adds, with the ids they have. As in transformers 4.44.2 (`PreTrainedTokenizer` of tokenization_utils.py).
 */
export class AddedTokens {
  readonly specials: ReadonlySet<string>;
  /** Also of contents whose id went to another token since. */
  private readonly idOfContent = new Map<string, number>();
  private readonly tokenOfId: Map<number, AddedToken>;
  private readonly boundary: RegExp;
  private readonly prepare: (text: string) => string;

  /**
   * @param added by id. @param specials in their order; those without an id get the id of the piece that they are, or the
   * next free one. @param pieces SentencePiece's, by id. @param lower whether texts are made lower case.
   */
  constructor(
    added: ReadonlyMap<number, AddedToken>,
    specials: readonly SpecialToken[],
    pieces: readonly string[],
    { lower }: { lower: boolean },
  ) {
    this.tokenOfId = new Map(added);
    for (const [id, token] of added) this.idOfContent.set(token.content, id);
    this.specials = new Set(specials.map(contentOf));
    this.add(specials, pieces);

    const tokens = [...this.tokenOfId.values()];
    const longestFirst = [...new Set(tokens.map(({ content }) => content))].sort((a, b) => b.length - a.length);
    // Leftmost, then longest, as transformers' trie finds them (it slips only where two tokens overlap in the text).
    this.boundary = new RegExp(`(${longestFirst.map(escapeForPattern).join("|") || "(?!)"})`, "u");
    const keepCase = tokens.filter((token) => !token.special && token.normalized).map(({ content }) => content);
    this.prepare = lower ? lowerCase([...this.specials, ...keepCase]) : (text) => text;
  }

  private add(specials: readonly SpecialToken[], pieces: readonly string[]): void {
    const vocabulary = new Map(pieces.map((piece, id) => [this.tokenOfId.get(id)?.content ?? piece, id]));
    for (const id of [...this.tokenOfId.keys()].sort((a, b) => a - b))
      vocabulary.set(this.tokenOfId.get(id)!.content, id);
    const next = vocabulary.size;
    let count = 0;
    const seen = new Set<string>(); // of two with the same content, the first counts
    for (const special of specials) {
      if (seen.has(contentOf(special))) continue;
      seen.add(contentOf(special));
      if (typeof special === "string" && this.idOfContent.has(special)) continue;
      const token = typeof special === "string" ? plainToken(special) : { ...special, special: true };
      const id = vocabulary.get(token.content) ?? next + count++;
      vocabulary.set(token.content, id);
      this.tokenOfId.set(id, token);
      this.idOfContent.set(token.content, id);
    }
  }

  idOf(content: string): number | undefined {
    return this.idOfContent.get(content);
  }

  get highestId(): number {
    return [...this.idOfContent.values()].reduce((highest, id) => Math.max(highest, id), -1);
  }

  /** The text cut at the added tokens, without the white space that they take, and each rest cut by `tokenize`. */
  split(text: string, tokenize: (rest: string) => string[]): string[] {
    const parts = this.prepare(text)
      .split(this.boundary)
      .filter((part) => part !== "");
    for (let i = 0; i < parts.length; i++) this.strip(parts, i);
    return parts.flatMap((part) => (part === "" ? [] : this.idOfContent.has(part) ? [part] : tokenize(part)));
  }

  /** What the token at place i does to its neighbours, which may be tokens, too. */
  private strip(parts: string[], i: number): void {
    const part = parts[i]!;
    const token = this.tokenOfId.get(this.idOfContent.get(part) ?? -1);
    if (!token) return;
    const left = parts[i - 1];
    const right = parts[i + 1];
    if (token.rstrip && right) parts[i + 1] = stripLeft(right);
    if (token.lstrip && left) parts[i - 1] = stripRight(left);
    if (!token.singleWord) return;
    // Judged by the neighbours as they were before white space was taken from them.
    if (left && !left.endsWith(" ")) {
      parts[i - 1] += part;
      parts[i] = "";
    } else if (right && !right.startsWith(" ")) {
      parts[i + 1] = part + parts[i + 1];
      parts[i] = "";
    }
  }
}
