import { cp, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { ConfigError, InputError, WeightsError } from "../../src/errors.ts";
import { openTokenizer } from "../../src/tokenizers/index.ts";
import { longestPrompt } from "../../src/tokenizers/tokenizer.ts";
import { expectedPath } from "../helpers/expected.ts";

const siglip = expectedPath("tokenizers_sentencepiece/siglip");
const t5 = expectedPath("tokenizers_sentencepiece/t5");
let scratch: string;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "tokenizers-"));
});
afterAll(() => rm(scratch, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

let copies = 0;
/** A copy of a tokenizer's folder with some files replaced; `undefined` takes one away. */
async function folderWith(files: Record<string, unknown>, original = siglip): Promise<string> {
  const folder = join(scratch, String(copies++));
  await cp(original, folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    if (content === undefined) await rm(join(folder, name));
    else await writeFile(join(folder, name), content instanceof Uint8Array ? content : JSON.stringify(content));
  }
  return folder;
}

async function configWith(changes: Record<string, unknown>, original = siglip): Promise<string> {
  const config = JSON.parse(await readFile(join(original, "tokenizer_config.json"), "utf-8"));
  return folderWith({ "tokenizer_config.json": { ...config, ...changes } }, original);
}

/** Opens, encodes and closes. */
async function idsOf(text: string, folder: string, className?: string, length?: number): Promise<number[]> {
  const tokenizer = await openTokenizer(folder, className, length);
  try {
    return Array.from(tokenizer.encode(text).ids);
  } finally {
    tokenizer.close();
  }
}

async function refusal(opening: Promise<unknown>): Promise<Error> {
  const error = await opening.then(
    () => undefined,
    (reason) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  return error;
}

describe("the process", () => {
  const events = ["uncaughtException", "unhandledRejection"] as const;
  const handlers = () => events.map((event) => process.rawListeners(event));

  test("has no other handlers after a tokenizer was opened, or several at once, or one that is damaged", async () => {
    const before = handlers();
    const damaged = await folderWith({ "spiece.model": await mapOfNonsense() });
    const opened = await Promise.all([siglip, t5, siglip].map((folder) => openTokenizer(folder)));
    await refusal(openTokenizer(damaged));
    expect(handlers()).toEqual(before);
    for (const tokenizer of opened) tokenizer.close();
    expect(handlers()).toEqual(before);
  });

  test("keeps a handler that is added while a tokenizer opens", async () => {
    const mine = () => {};
    // At the very moment when the package adds its own.
    const follow = (event: string | symbol) => {
      if (event !== "uncaughtException") return;
      process.off("newListener", follow);
      process.on("uncaughtException", mine);
    };
    process.on("newListener", follow);
    (await openTokenizer(siglip)).close();
    expect(process.listeners("uncaughtException")).toContain(mine);
    process.off("uncaughtException", mine);
  });

  test("is not printed to", async () => {
    const prints = [
      vi.spyOn(process.stdout, "write"),
      vi.spyOn(process.stderr, "write"),
      ...(["log", "warn", "error", "info"] as const).map((name) => vi.spyOn(console, name)),
    ];
    (await openTokenizer(siglip)).close();
    await refusal(openTokenizer(await folderWith({ "spiece.model": await mapOfNonsense() })));
    for (const print of prints) expect(print).not.toHaveBeenCalled();
  });
});

describe("encoding", () => {
  test("takes half a surrogate pair for U+FFFD", async () => {
    expect(await idsOf("猫\ud83d犬\udc31", siglip)).toEqual(await idsOf("猫\ufffd犬\ufffd", siglip));
    expect(await idsOf("\ud83d", t5)).toEqual(await idsOf("\ufffd", t5));
  });

  test("takes prompts up to a limit, and says so above it", { timeout: 60_000 }, async () => {
    const tokenizer = await openTokenizer(siglip);
    const { attentionMask, truncated } = tokenizer.encode("a ".repeat(longestPrompt / 2));
    expect(attentionMask).toEqual(new Int32Array(64).fill(1));
    expect(truncated).toHaveLength(longestPrompt - 2 * 63 - 1);
    const refused = () => tokenizer.encode("a".repeat(longestPrompt + 1));
    expect(refused).toThrow(InputError);
    expect(refused).toThrow(/1048577 characters long.*Shorten it to 1048576/);
    tokenizer.close();
  });

  test("shows what was lost at one token over the limit", async () => {
    const tokenizer = await openTokenizer(siglip);
    expect(tokenizer.encode("猫 ".repeat(31))).not.toHaveProperty("truncated");
    const prompt = `${"の".repeat(62)}`;
    expect(tokenizer.encode(prompt)).not.toHaveProperty("truncated");
    expect(tokenizer.encode(`${prompt}絵藍ミツア`).truncated).toBe("絵藍ミツア");
    tokenizer.close();
  });

  test("is over when the tokenizer is closed, which may be done twice", async () => {
    const tokenizer = await openTokenizer(siglip);
    tokenizer.close();
    tokenizer.close();
    expect(() => tokenizer.encode("猫")).toThrow("This tokenizer is closed.");
  });
});

describe("the class", () => {
  test("comes from the folder, or is given, with Fast or without", async () => {
    const wanted = await idsOf("A cat, 猫.", siglip);
    expect(await idsOf("A cat, 猫.", siglip, "SiglipTokenizerFast")).toEqual(wanted);
    const unnamed = await configWith({ tokenizer_class: undefined });
    expect(await idsOf("A cat, 猫.", unnamed, "SiglipTokenizer")).toEqual(wanted);
    expect(await idsOf("A cat, 猫.", siglip, "T5Tokenizer")).not.toEqual(wanted);
    expect((await refusal(openTokenizer(unnamed))).message).toMatch(/does not say its tokenizer_class/);
  });

  test.each(["CLIPTokenizer", "CLIPTokenizerFast"])("%s is refused as not supported yet", async (name) => {
    const error = await refusal(openTokenizer(siglip, name));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(new RegExp(`tokenizer_config.json: the tokenizer ${name} is not supported yet\\.`));
  });

  test.each(["BertTokenizer", "constructor", "__proto__", ""])("%j is refused", async (name) => {
    expect(await refusal(openTokenizer(siglip, name))).toBeInstanceOf(ConfigError);
  });
});

describe("the length", () => {
  test("is the folder's, or else SigLIP's 64, or else the given one", async () => {
    const silent = { model_max_length: undefined };
    expect(await idsOf("猫", await configWith({ model_max_length: 7 }), undefined, 9)).toHaveLength(7);
    expect(await idsOf("猫", await configWith(silent), undefined, 9)).toHaveLength(64);
    expect(await idsOf("猫", await configWith(silent, t5), undefined, 9)).toHaveLength(9);
    expect(await idsOf("猫", await configWith({ model_max_length: 1e30 }, t5), undefined, 9)).toHaveLength(9);
    expect(await idsOf("猫", await configWith({ model_max_length: 1 }))).toEqual([1]);
  });

  test("has to be known", async () => {
    const error = await refusal(openTokenizer(await configWith({ model_max_length: 1e30 }, t5)));
    expect(error.message).toMatch(/tokenizer_config.json has no model_max_length\. Add/);
  });

  test.each([0, -1, 1.5, 1e9, "64"])("cannot be %j", async (value) => {
    const error = await refusal(openTokenizer(await configWith({ model_max_length: value })));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/tokenizer_config.json: model_max_length/);
  });
});

describe("settings", () => {
  test.each<[Record<string, unknown>, RegExp]>([
    [{ padding_side: "left" }, /padding_side has a value/],
    [{ truncation_side: "left" }, /truncation_side has a value/],
    [{ split_special_tokens: true }, /split_special_tokens has a value/],
    [{ sp_model_kwargs: { enable_sampling: true } }, /sp_model_kwargs\.enable_sampling has a value/],
    [{ keep_accents: true }, /the field keep_accents is not known/],
    [{ do_lower_case: "yes" }, /do_lower_case has a value/],
    [{ pad_token: null }, /pad_token is null/],
    [{ eos_token: "" }, /eos_token has a value/],
    [{ extra_ids: 1e9 }, /extra_ids has a value/],
    [{ added_tokens_decoder: { x: { content: "a" } } }, /added_tokens_decoder\.x has a value/],
    [{ added_tokens_decoder: { 4294967296: { content: "a" } } }, /the id 4294967296, which is too large/],
    [{ added_tokens_decoder: { 3: { content: "a", colour: 1 } } }, /the field colour is not known/],
  ])("%j are refused by name", async (changes, message) => {
    const error = await refusal(openTokenizer(await configWith(changes)));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/tokenizer_config\.json/);
  });

  test("that cannot change the ids are ignored", async () => {
    const folder = await configWith({ chat_template: "x", name_or_path: "y", _commit_hash: "z", processor_class: "P" });
    expect(await idsOf("猫", folder)).toEqual(await idsOf("猫", siglip));
  });

  test("that add too many tokens are refused", async () => {
    const entries = Array.from({ length: 10_001 }, (_, i) => [i + 1000, { content: `<${i}>` }]);
    const error = await refusal(openTokenizer(await configWith({ added_tokens_decoder: Object.fromEntries(entries) })));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/adds 10001 tokens to its vocabulary; at most 10000/);
  });

  test("that contradict each other are refused", async () => {
    const error = await refusal(openTokenizer(await configWith({ extra_ids: 3 }, t5)));
    expect(error.message).toMatch(/extra_ids is 3, but additional_special_tokens has 100 of them/);
  });

  test("may be missing altogether, where the class is given", async () => {
    const bare = await folderWith({ "tokenizer_config.json": undefined, "special_tokens_map.json": undefined });
    expect(await idsOf("A cat, 猫.", bare, "SiglipTokenizer")).toEqual(await idsOf("A cat, 猫.", siglip));
  });

  test("that are no JSON are refused", async () => {
    const error = await refusal(openTokenizer(await folderWith({ "tokenizer_config.json": Buffer.from("{") })));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(/tokenizer_config\.json is not a JSON file/);
  });
});

describe("the model file", () => {
  test("may be called tokenizer.model", async () => {
    const model = await readFile(join(siglip, "spiece.model"));
    const folder = await folderWith({ "spiece.model": undefined, "tokenizer.model": model });
    expect(await idsOf("猫", folder)).toEqual(await idsOf("猫", siglip));
  });

  test("is missed", async () => {
    const error = await refusal(openTokenizer(await folderWith({ "spiece.model": undefined })));
    expect(error).toBeInstanceOf(WeightsError);
    expect(error.message).toMatch(/has no spiece\.model or tokenizer\.model/);
    expect(await refusal(openTokenizer(join(scratch, "nowhere"), "T5Tokenizer", 8))).toBeInstanceOf(WeightsError);
  });

  test("has to be a file", async () => {
    const folder = await folderWith({ "spiece.model": undefined });
    await mkdir(join(folder, "spiece.model"));
    expect((await refusal(openTokenizer(folder))).message).toMatch(/spiece\.model is not a file/);
  });

  test("is used without the self-tests in it, which print where they fail", async () => {
    const sample = message(1, [...message(1, [0x61]), ...message(2, [0x62])]);
    const model = Buffer.concat([await readFile(join(siglip, "spiece.model")), Uint8Array.from(message(4, sample))]);
    const print = vi.spyOn(console, "warn");
    expect(await idsOf("猫", await folderWith({ "spiece.model": model }))).toEqual(await idsOf("猫", siglip));
    expect(print).not.toHaveBeenCalled();
  });

  test("has a limit to its size", async () => {
    const folder = await folderWith({});
    await truncate(join(folder, "spiece.model"), 2 ** 40); // takes no space on the disk
    expect((await refusal(openTokenizer(folder))).message).toMatch(/spiece\.model has 1099511627776 bytes, more than/);
  });

  const piece = (text: string, ...more: number[]) => {
    const bytes = new TextEncoder().encode(text);
    return message(1, [0x0a, ...varint(bytes.length), ...bytes, ...more]);
  };
  const unknown = piece("<unk>", 0x18, 2);
  const score = (...bytes: number[]) => [0x15, ...bytes];

  test.each<[string, number[], RegExp]>([
    ["an empty file", [], /has no pieces/],
    ["text", [...Buffer.from("version https://git-lfs.github.com/spec/v1\n")], /is no protobuf message|ends too early/],
    ["no unknown piece", piece("a"), /0 unknown pieces/],
    ["two unknown pieces", [...unknown, ...piece("a", 0x18, 2)], /2 unknown pieces/],
    ["a piece twice", [...unknown, ...piece("a"), ...piece("a")], /piece 2 is there twice/],
    ["a piece without text", [...unknown, ...piece("")], /piece 1 has no text/],
    ["a piece that is not UTF-8", [...unknown, ...message(1, [0x0a, 1, 0xff])], /piece 1 is not UTF-8/],
    ["a piece as long as a book", [...unknown, ...piece("a".repeat(2000))], /2000 bytes long/],
    ["a piece of an unknown type", [...unknown, ...piece("a", 0x18, 9)], /piece 1 is of an unknown type/],
    ["a byte piece without a byte", [...unknown, ...piece("a", 0x18, 6)], /"a" names no byte/],
    [
      "byte pieces that it does not want",
      [...unknown, ...piece("<0x41>", 0x18, 6)],
      /byte piece <0x41> is found although/,
    ],
    ["a score that is no number", [...unknown, ...piece("a", ...score(0, 0, 0xc0, 0x7f))], /score of piece 1/],
    ["a length past the end", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, 1], /ends too early/],
    ["a length beyond 64 bits", [0x0a, ...Array(10).fill(0xff)], /is no protobuf message/],
    ["a varint without an end", [0x08, 0xff, 0xff], /ends too early/],
    ["a group", [...unknown, 0x0b], /is no protobuf message/],
    ["a piece that is a number", [0x08, 1], /field 1 has the wrong type/],
    ["a character map of nothing", [...unknown, ...message(3, message(2, [1]))], /character map does not fit/],
    [
      "a character map that lies",
      [...unknown, ...message(3, message(2, [0, 4, 0, 0, 1]))],
      /character map does not fit/,
    ],
  ])("of %s is refused in one sentence", async (_, bytes, reason) => {
    const error = await refusal(openTokenizer(await folderWith({ "spiece.model": Uint8Array.from(bytes) })));
    expect(error).toBeInstanceOf(WeightsError);
    expect(error.message).toMatch(reason);
    expect(error.message).toMatch(/spiece\.model is not a usable SentencePiece model: .*\. Copy the file again/);
  });

  test("of character maps that point outside of themselves is refused", async () => {
    expect((await refusal(openTokenizer(await folderWith({ "spiece.model": await mapOfNonsense() })))).message).toMatch(
      /character map points outside of itself/,
    );
  });

  test("that is mutated opens and encodes, or is refused, and nothing else", { timeout: 120_000 }, async () => {
    const original = await readFile(join(t5, "spiece.model"));
    const random = seeded(1);
    const below = (n: number) => Math.floor(random() * n);
    const folder = await folderWith({}, t5);
    const before = process.listenerCount("uncaughtException");
    let refused = 0;
    for (let i = 0; i < 200; i++) {
      let bytes = Buffer.from(original);
      for (let k = 0; k <= below(3); k++) bytes[below(below(2) ? bytes.length : 200)] = below(256);
      if (below(4) === 0) bytes = bytes.subarray(0, below(bytes.length));
      await writeFile(join(folder, "spiece.model"), bytes);
      const error = await idsOf("A cat 猫と絵藍ミツア</s> 🎨", folder).then(
        () => undefined,
        (reason) => reason,
      );
      if (error) expect(error).toBeInstanceOf(InputError);
      if (error) refused++;
    }
    expect(refused).toBeGreaterThan(20);
    expect(process.listenerCount("uncaughtException")).toBe(before);
  });
});

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

/** A field of bytes. */
function message(field: number, content: number[]): number[] {
  return [field * 8 + 2, ...varint(content.length), ...content];
}

/** SigLIP's model, followed by a character map whose trie points anywhere (the later of two counts). */
async function mapOfNonsense(): Promise<Uint8Array> {
  const random = seeded(2);
  const trie = Array.from({ length: 1024 }, () => Math.floor(random() * 256));
  const map = [0, 4, 0, 0, ...trie, ...Array(100).fill(65), 0];
  return Buffer.concat([await readFile(join(siglip, "spiece.model")), Uint8Array.from(message(3, message(2, map)))]);
}

/** Numbers from 0 to 1, always the same (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
