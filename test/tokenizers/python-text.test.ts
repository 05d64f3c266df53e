import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { collapseSpaces, lowerCase, removePunctuation, strip } from "../../src/tokenizers/python-text.ts";
import { expectedPath } from "../helpers/expected.ts";

interface Characters {
  whitespace: string;
  lower: Record<string, string>;
  /** Ranges of code points that the reference's Python (Unicode 14) does not know. */
  unassigned: [number, number][];
}
const { whitespace, lower, unassigned }: Characters = JSON.parse(
  readFileSync(expectedPath("tokenizers_sentencepiece/characters.json"), "utf-8"),
);

function* characters(): Generator<string> {
  for (let point = 0; point < 0x110000; point++) {
    if (point < 0xd800 || point > 0xdfff) yield String.fromCodePoint(point);
  }
}

test("white space is what Python takes for it, of all characters", () => {
  const found = [...characters()].filter((c) => strip(c) === "");
  expect(found.join("")).toBe(whitespace);
  expect(collapseSpaces(`a${whitespace}b`)).toBe("a b");
  expect(strip(`${whitespace}a${whitespace}b${whitespace}`)).toBe(`a${whitespace}b`);
});

test("every character that Python's Unicode knows has the lower case that Python gives it", () => {
  const known = (c: string) =>
    !unassigned.some(([first, last]) => c.codePointAt(0)! >= first && c.codePointAt(0)! <= last);
  const toLower = lowerCase([]);
  const differing = [...characters()].filter((c) => toLower(c) !== (lower[c] ?? c) && known(c));
  expect(differing).toEqual([]);
  expect(Object.keys(lower).length).toBeGreaterThan(1300);
});

test("each character is made lower case alone, and the kept words stay as they are", () => {
  expect(lowerCase([])("ΟΔΟΣ\nİI")).toBe("οδοσ\ni̇i");
  expect(lowerCase(["[PAD]", "</S>", "A.B"])("[PAD]X</S>A.BAXB[pad]")).toBe("[PAD]x</S>A.Baxb[pad]");
});

test("ASCII punctuation, and no other, is removed", () => {
  // string.punctuation
  expect(removePunctuation("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")).toBe("");
  expect(removePunctuation("a。、「」!b…1 ▁")).toBe("a。、「」!b…1 ▁".replace("!", ""));
});

test("a long run of spaces takes no long time", () => {
  const run = " ".repeat(1_000_000);
  const start = performance.now();
  expect(strip(`${run}a${run}b`)).toBe(`a${run}b`);
  expect(performance.now() - start).toBeLessThan(2000);
});
