// Text as Python's `str` sees it. JavaScript's own notions of white space and of lower case are slightly different.

/** What `str.isspace()`, `str.strip()` and `\s` of `re` take for white space: also U+001C to U+001F and U+0085, and not U+FEFF. */
const space = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const spaces = new RegExp(space, "g");
const leading = new RegExp(`^${space}`);
// Found from its first character: /\s+$/ alone would try again at every space inside a long run.
const trailing = new RegExp(`(?<!${space.slice(0, -1)})${space}$`);

export const stripLeft = (text: string): string => text.replace(leading, "");
export const stripRight = (text: string): string => text.replace(trailing, "");
export const strip = (text: string): string => stripRight(stripLeft(text));
export const collapseSpaces = (text: string): string => text.replace(spaces, " ");

/** `string.punctuation`: ASCII alone. */
export const removePunctuation = (text: string): string => text.replace(/[!-/:-@[-`{-~]/g, "");

export const escapeForPattern = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");

/**
 * `str.lower()` of one character at a time, as transformers calls it (so a final Σ is σ), leaving the words of `kept` as
 * they are. Where several of them match, the first counts, not the longest.
 */
export function lowerCase(kept: readonly string[]): (text: string) => string {
  const pattern = new RegExp(`${kept.map((word) => `(?:${escapeForPattern(word)})|`).join("")}(.)`, "gu");
  return (text) => text.replace(pattern, (match, character?: string) => character?.toLowerCase() ?? match);
}
