import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { openTokenizer, type Tokenizer } from "../../src/tokenizers/index.ts";
import { expectedPath } from "../helpers/expected.ts";

interface Expected {
  length: number;
  padId: number;
  eosId: number;
  vocabularySize: number;
  encodings: { ids: number[]; cut?: string }[];
  long: Record<string, number[]>;
}

const folders = ["siglip", "siglip-bytes", "siglip-spaces", "t5", "t5-bare", "t5-new", "t5-old", "t5-rinna"] as const;
const { texts, ...expected }: { texts: string[] } & Record<(typeof folders)[number], Expected> = JSON.parse(
  readFileSync(expectedPath("tokenizers_sentencepiece/encodings.json"), "utf-8"),
);

async function using<T>(folder: string, use: (tokenizer: Tokenizer) => T): Promise<T> {
  const tokenizer = await openTokenizer(expectedPath(`tokenizers_sentencepiece/${folder}`));
  try {
    return use(tokenizer);
  } finally {
    tokenizer.close();
  }
}

describe.each(folders)("the tokenizer of %s", (folder) => {
  const { encodings, long, ...properties } = expected[folder];

  test("has the length and the ids of transformers'", () =>
    using(folder, ({ length, padId, eosId, vocabularySize }) =>
      expect({ length, padId, eosId, vocabularySize }).toEqual(properties),
    ));

  test(`gives the ids and masks of transformers' slow tokenizer for ${texts.length} strings`, () =>
    using(folder, (tokenizer) => {
      const differing = texts.flatMap((text, i) => {
        const { ids, attentionMask } = tokenizer.encode(text);
        const wanted = encodings[i]!.ids;
        const padding = Array(properties.length - wanted.length);
        const same =
          String(Array.from(ids)) === String([...wanted, ...padding.fill(properties.padId)]) &&
          String(Array.from(attentionMask)) === String([...wanted.map(() => 1), ...padding.fill(0)]);
        return same ? [] : [{ text, ids: Array.from(ids), wanted }];
      });
      expect(differing).toEqual([]);
      expect(texts.length).toBeGreaterThan(500);
    }));

  test("says what was cut, and only then", () =>
    using(folder, (tokenizer) => {
      const squeeze = (text: string) => text.replace(/[\p{Z}\p{C}▁\ufffd]+/gu, "");
      const differing = texts.flatMap((text, i) => {
        const { truncated } = tokenizer.encode(text);
        const { cut } = encodings[i]!;
        const same =
          (truncated === undefined) === (cut === undefined) && squeeze(truncated ?? "") === squeeze(cut ?? "");
        return same ? [] : [{ text, truncated, cut }];
      });
      expect(differing).toEqual([]);
    }));

  test("gives the same ids for prompts of about a million bytes", { timeout: 60_000 }, () =>
    using(folder, (tokenizer) => {
      const texts = {
        kana: "ミツアと猫、先生アート。".repeat(28_000),
        letters: "An oil painting, ".repeat(20_000),
        word: "ab".repeat(150_000),
      };
      for (const [name, text] of Object.entries(texts)) {
        expect(Array.from(tokenizer.encode(text).ids), name).toEqual(long[name]);
      }
    }),
  );
});
