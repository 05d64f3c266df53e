import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32, deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import { decodePng, decodePngTexts, encodePng, type PngText } from "../../src/image/index.ts";
import { expectedPath } from "../helpers/expected.ts";
import { noise } from "./pixels.ts";

interface Read {
  size: [number, number];
  pixels: string;
  texts: Record<string, string>;
}

const fromPillow = JSON.parse(readFileSync(expectedPath("image/png/read.json"), "utf8")) as Record<string, Read>;

test.each(Object.entries(fromPillow))("%s is read as Pillow reads it", (name, { size, pixels, texts }) => {
  const decoded = decodePng(readFileSync(expectedPath(`image/png/${name}`)), name);
  expect([decoded.picture.width, decoded.picture.height]).toEqual(size);
  expect(Buffer.from(decoded.picture.data).toString("hex")).toBe(pixels);
  expect(Object.fromEntries(decoded.texts)).toEqual(texts);
});

const texts: PngText[] = [
  { keyword: "Software", text: "tfjs-diffusion" },
  { keyword: "latin", text: "Généré ©\n\u0081ÿ" },
  { keyword: "japanese", text: "夜空、クジラ、ﾌﾟ 🐋\n二行目" },
  { keyword: "long", text: "0123456789".repeat(1000), compressed: true },
  { keyword: "long japanese", text: "夜空".repeat(1000), compressed: true },
  { keyword: "empty", text: "" },
];
const picture = noise(19, 7);
const file = encodePng(picture, texts);
const asMap = new Map(texts.map(({ keyword, text }) => [keyword, text]));

test("what is written is read, pixels and texts", () => {
  const decoded = decodePng(file, "a.png");
  expect(decoded.picture).toEqual(picture);
  expect(decoded.texts).toEqual(asMap);
  expect(decodePngTexts(file, "a.png")).toEqual(asMap);
});

test("Latin-1 is tEXt or zTXt, and the rest iTXt", () => {
  const types = ["tEXt", "tEXt", "iTXt", "zTXt", "iTXt", "tEXt"];
  expect(
    Buffer.from(file)
      .toString("latin1")
      .match(/[tzi](?:EXt|TXt)(?=[Sljoe])/g),
  ).toEqual(types);
});

const python = new URL("../../.reference-env/bin/python", import.meta.url).pathname;
const program = `
import json, sys
from PIL import Image
picture = Image.open(sys.argv[1])
picture.load()
print(json.dumps({"mode": picture.mode, "size": picture.size, "pixels": picture.tobytes().hex(), "texts": picture.text}))
`;

// Needs the reference environment: python3 test/reference/make.py makes it.
test.skipIf(!existsSync(python))("Pillow reads the same pixels and texts from our file", () => {
  const folder = mkdtempSync(join(tmpdir(), "png-"));
  try {
    writeFileSync(join(folder, "a.png"), file);
    const read = JSON.parse(execFileSync(python, ["-c", program, join(folder, "a.png")], { encoding: "utf8" }));
    expect(read).toEqual({
      mode: "RGB",
      size: [19, 7],
      pixels: Buffer.from(picture.data).toString("hex"),
      texts: Object.fromEntries(asMap),
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("a text that PNG cannot hold does not cost the picture", () => {
  const odd = encodePng(picture, [{ keyword: "odd", text: "a\0b\ud800" }]);
  expect(decodePngTexts(odd, "a.png").get("odd")).toBe("a\ufffdb\ufffd");
});

test.each(["", " a", "a ", "題", "a\0b", "x".repeat(80)])("%j is no keyword", (keyword) => {
  expect(() => encodePng(picture, [{ keyword, text: "" }])).toThrow("cannot be a PNG keyword");
});

function chunk(type: string, data: Uint8Array): Buffer {
  const bytes = Buffer.concat([Buffer.alloc(4), Buffer.from(type, "latin1"), data, Buffer.alloc(4)]);
  bytes.writeUInt32BE(data.length, 0);
  bytes.writeUInt32BE(crc32(bytes.subarray(4, -4)), bytes.length - 4);
  return bytes;
}

function header(width: number, height: number, [depth, color, interlace]: readonly number[] = [8, 2, 0]): Buffer {
  const data = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, depth!, color!, 0, 0, interlace!]);
  data.writeUInt32BE(width, 0);
  data.writeUInt32BE(height, 4);
  return chunk("IHDR", data);
}

const start = Buffer.from(file.subarray(0, 8));
const end = chunk("IEND", Buffer.alloc(0));
const rows = (bytes: number) => chunk("IDAT", deflateSync(Buffer.alloc(bytes)));
const png = (...chunks: Buffer[]) => Buffer.concat([start, ...chunks, end]);
const ascii = (text: string) => Buffer.from(text, "latin1");

describe("bad files", () => {
  test("the helpers make a good one", () => {
    expect(decodePng(png(header(2, 1), rows(7)), "a.png").picture.data).toEqual(new Uint8Array(6));
  });

  const bomb = deflateSync(Buffer.alloc(65 * 2 ** 20));
  test.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(), "a.png is not a PNG file"],
    ["another kind", ascii("GIF89a and more"), "a.png is not a PNG file"],
    ["only the beginning", start, "a.png is cut short"],
    [
      "a part longer than the file",
      Buffer.concat([start, ascii("\xff\xff\xff\xffIHDR"), Buffer.alloc(8)]),
      "cut short",
    ],
    ["no end", Buffer.concat([start, header(2, 1), rows(7)]), "cut short"],
    ["no header", png(rows(7)), "does not begin with its header"],
    ["a short header", png(chunk("IHDR", Buffer.alloc(12)), rows(7)), "does not begin with its header"],
    ["two headers", png(header(2, 1), header(60000, 60000), rows(7)), "more than one IHDR"],
    ["no width", png(header(0, 1), rows(1)), "0×1 pixels"],
    ["too many pixels", png(header(2 ** 31, 2 ** 31), rows(7)), "a PNG file is supported from 1 to"],
    ["a colour type of 5", png(header(2, 1, [8, 5, 0]), rows(7)), "colour type 5 at 8 bits"],
    ["a depth of 3", png(header(2, 1, [3, 0, 0]), rows(7)), "colour type 0 at 3 bits"],
    ["an interlacing of 2", png(header(2, 1, [8, 2, 2]), rows(7)), "that PNG does not know"],
    ["no pixels", png(header(2, 1)), "The pixel data of a.png is damaged"],
    ["too few pixels", png(header(2, 2), rows(7)), "its pixels come to 7 bytes, and its header wants 14"],
    ["too many rows", png(header(2, 1), rows(8)), "The pixel data of a.png is larger than it may be"],
    ["a bomb", png(header(2, 1), chunk("IDAT", bomb)), "The pixel data of a.png is larger than it may be"],
    ["an interlaced bomb", png(header(2, 1, [8, 2, 1]), chunk("IDAT", bomb)), "larger than it may be"],
    ["pixels that are not compressed", png(header(2, 1), chunk("IDAT", Buffer.alloc(7))), "cannot be decompressed"],
    ["an unknown filter", png(header(2, 1), chunk("IDAT", deflateSync(Buffer.alloc(7, 9)))), "cannot be decoded"],
    ["a colour outside the palette", png(header(1, 1, [8, 3, 0]), chunk("PLTE", Buffer.alloc(0)), rows(2)), "decoded"],
    ["no palette", png(header(1, 1, [8, 3, 0]), rows(2)), "cannot be decoded"],
    ["an unknown critical part", png(header(2, 1), chunk("ABCD", Buffer.alloc(1)), rows(7)), '"ABCD"'],
    [
      "a text without a keyword's end",
      png(header(2, 1), chunk("tEXt", ascii("abc")), rows(7)),
      "no end to its keyword",
    ],
    [
      "an unknown compression",
      png(header(2, 1), chunk("zTXt", ascii("a\0\x01abc")), rows(7)),
      "in a way that PNG does not know",
    ],
    [
      "a compressed text cut off",
      png(header(2, 1), chunk("zTXt", ascii("a\0")), rows(7)),
      "in a way that PNG does not know",
    ],
    [
      "a text that is a bomb",
      png(header(2, 1), chunk("zTXt", Buffer.concat([ascii("a\0\0"), bomb])), rows(7)),
      "larger",
    ],
    ["another", png(header(2, 1), chunk("iTXt", Buffer.concat([ascii("a\0\x01\0\0\0"), bomb])), rows(7)), "larger"],
    ["a text not in UTF-8", png(header(2, 1), chunk("iTXt", ascii("a\0\0\0\0\0\xff")), rows(7)), "not in UTF-8"],
  ])("%s", (_, bytes, message) => {
    const read = () => decodePng(bytes, "a.png");
    expect(read).toThrow(InputError);
    expect(read).toThrow(message);
  });

  test("many small bombs come to no more than one", () => {
    const small = chunk("zTXt", Buffer.concat([ascii("a\0\0"), deflateSync(Buffer.alloc(2 ** 23))]));
    const bytes = png(header(2, 1), ...Array.from({ length: 9 }, () => small), rows(7));
    expect(() => decodePngTexts(bytes, "a.png")).toThrow("larger than it may be");
  });

  test("cut anywhere, or with any byte changed, a file is refused or read, and never more", () => {
    const small = encodePng(noise(3, 2), texts.slice(0, 3));
    for (let length = 0; length < small.length; length++) {
      expect(() => decodePng(small.subarray(0, length), "a.png"), `${length} bytes`).toThrow(InputError);
    }
    for (let at = 0; at < small.length; at++) {
      const changed = Uint8Array.from(small, (byte, i) => (i === at ? byte ^ 0x24 : byte));
      expect(() => decodePng(changed, "a.png"), `byte ${at}`).toThrow(InputError);
    }
  });

  test("500 files with changed bytes under right checksums are refused or read", () => {
    const files = Object.keys(fromPillow).map((name) => readFileSync(expectedPath(`image/png/${name}`)));
    const outcomes = { read: 0, refused: 0 };
    const random = noise(500, 4).data;
    for (let i = 0; i < 500; i++) {
      const mutant = mutate(files[i % files.length]!, random.subarray(i * 12, i * 12 + 12));
      try {
        const { width, height, data } = decodePng(mutant, "a.png").picture;
        expect(data.length).toBe(width * height * 3);
        outcomes.read++;
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        outcomes.refused++;
      }
    }
    expect(outcomes.read).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(50);
  });
});

/** Changes one to three bytes of one part, or drops or doubles the part, and writes its checksum anew. */
function mutate(file: Buffer, random: Uint8Array): Buffer {
  const chunks: Buffer[] = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    chunks.push(file.subarray(at, at + 12 + file.readUInt32BE(at)));
  }
  const chosen = random[0]! % chunks.length;
  const body = Buffer.from(chunks[chosen]!.subarray(4, -4));
  for (let change = 0; change <= random[1]! % 3; change++) {
    const at = random[2 + change]! % 2 === 0 ? 4 + (random[5 + change]! % 13) : random[5 + change]!;
    if (at < body.length) body[at] = random[8 + change]!;
  }
  const remade = chunk(body.toString("latin1", 0, 4), body.subarray(4));
  const copies = random[11]! < 16 ? 0 : random[11]! < 32 ? 2 : 1;
  chunks.splice(chosen, 1, ...Array.from({ length: copies }, () => remade));
  return Buffer.concat([file.subarray(0, 8), ...chunks]);
}
