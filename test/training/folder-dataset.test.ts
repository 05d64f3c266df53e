import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodePng, type Picture } from "../../src/image/index.ts";
import { FolderDataset } from "../../src/training/folder-dataset.ts";
import { temporaryFolder } from "../helpers/cli.ts";

/** A picture whose red says how far down, and whose green how far to the right a pixel is. */
function slopes(width: number, height: number): Picture {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      data.set([(255 * y) / (height - 1), (255 * x) / (width - 1), 0], 3 * (y * width + x));
  }
  return { width, height, data };
}

const lines = [
  { file: "tall.png", captions: ["高い", "tall"] },
  { file: "sub/wide.png", captions: ["wide"], labels: ["elan doodle"] },
];

/** Two pictures with their captions, as given. */
async function dataFolder(captions: readonly unknown[] | string = lines): Promise<string> {
  const folder = await temporaryFolder();
  for (const [file, picture] of [
    ["tall.png", slopes(16, 32)],
    ["sub/wide.png", slopes(48, 24)],
  ] as const) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), encodePng(picture));
  }
  const text = typeof captions === "string" ? captions : captions.map((line) => `${JSON.stringify(line)}\n`).join("");
  await writeFile(join(folder, "captions.jsonl"), text);
  return folder;
}

const center = { crop: "center", seed: 1 } as const;

describe("a folder of pictures", () => {
  it("of several sizes is known by its headers", async () => {
    const data = await FolderDataset.open(await dataFolder(), center);
    expect(data.length).toBe(2);
    expect([0, 1].map((i) => data.sizeOf(i))).toEqual([
      [16, 32],
      [48, 24],
    ]);
  });

  it("gives a picture scaled to cover the size that is asked for, cropped in the middle", async () => {
    const data = await FolderDataset.open(await dataFolder(), center);
    const tall = await data.read(0, 16, 16);
    expect(tall).toMatchObject({ captions: ["高い", "tall"], labels: [], original: [16, 32], crop: [8, 0] });
    expect([...tall.picture.data.slice(0, 3)]).toEqual([(255 * 8) / 31, 0, 0].map(Math.floor));
    const wide = await data.read(1, 24, 24);
    expect(wide).toMatchObject({ labels: ["elan doodle"], original: [48, 24], crop: [0, 12] });
    const small = await data.read(1, 12, 12);
    expect(small).toMatchObject({ original: [48, 24], crop: [0, 6], picture: { width: 12, height: 12 } });
    const larger = await data.read(1, 100, 96);
    expect(larger).toMatchObject({ original: [48, 24], crop: [0, 46], picture: { width: 100, height: 96 } });
  });

  it("crops where the seed says, the same picture always in the same place", async () => {
    const folder = await dataFolder();
    const crops = async (seed: number) => {
      const data = await FolderDataset.open(folder, { crop: "random", seed });
      return Promise.all([0, 1, 0].map(async (i) => (await data.read(i, 16, 16)).crop));
    };
    const [first, second, again] = await crops(1);
    expect(again).toEqual(first);
    expect(first![1]).toBe(0);
    expect(second![0]).toBe(0);
    expect(await crops(2)).not.toEqual([first, second, again]);
  });

  it("says where each caption stands", async () => {
    const folder = await dataFolder();
    const data = await FolderDataset.open(folder, center);
    expect([...data.captions()].map(({ where }) => where.replace(folder, ""))).toEqual([
      "/captions.jsonl, line 1 (tall.png)",
      "/captions.jsonl, line 1 (tall.png)",
      "/captions.jsonl, line 2 (sub/wide.png)",
    ]);
  });
});

describe("a folder with a mistake is refused before anything is trained", () => {
  const [tall, wide] = lines as [object, object];
  it.each([
    ["no lines", "", "captions.jsonl has no lines: it needs one for each picture."],
    ["a line that is no JSON", '{"file": tall}', "captions.jsonl, line 1 is not JSON"],
    ["a picture without a line", [tall], "sub/wide.png has no caption: "],
    ["a line without a caption", [tall, { file: "sub/wide.png" }], 'line 2: the field "captions" is missing.'],
    ["no captions", [tall, { file: "sub/wide.png", captions: [] }], "there must be at least one caption"],
    ["an empty caption", [{ file: "tall.png", captions: [" "] }, wide], 'line 1: the field "captions.0" is " "'],
    ["a missing picture", [tall, wide, { file: "none.png", captions: ["a"] }], "line 3: there is no "],
    ["two lines for one picture", [tall, wide, tall], "line 3: tall.png stands in line 1 already."],
    ["a field that is not known", [{ ...tall, caption: "a" }, wide], 'line 1: the field "caption" is not supported'],
    [
      "a path out of it",
      [tall, { file: "../wide.png", captions: ["a"] }],
      "it must be the path of a PNG file in the folder",
    ],
    [
      "an absolute path",
      [tall, { file: "/wide.png", captions: ["a"] }],
      "it must be the path of a PNG file in the folder",
    ],
  ])("%s", async (_, captions, message) => {
    await expect(FolderDataset.open(await dataFolder(captions), center)).rejects.toThrow(message);
  });

  it("no captions.jsonl, or no folder", async () => {
    const folder = await dataFolder();
    await rm(join(folder, "captions.jsonl"));
    await expect(FolderDataset.open(folder, center)).rejects.toThrow("There is no ");
    await expect(FolderDataset.open(join(folder, "none"), center)).rejects.toThrow("There is no ");
  });

  it("a PNG file that is cut short, or none", async () => {
    const folder = await dataFolder();
    const png = encodePng(slopes(16, 32));
    await writeFile(join(folder, "tall.png"), png.subarray(0, png.length - 20));
    await expect(FolderDataset.open(folder, center)).rejects.toThrow(/tall\.png is cut short: .* Copy it anew\./);
    await writeFile(join(folder, "tall.png"), "GIF89a");
    await expect(FolderDataset.open(folder, center)).rejects.toThrow("tall.png is not a PNG file.");
  });

  it("but not a PNG file that something follows, and one that is damaged is found when it is read", async () => {
    const folder = await dataFolder();
    const png = encodePng(slopes(16, 32));
    await writeFile(join(folder, "tall.png"), Buffer.concat([png, Buffer.from("more")]));
    expect((await FolderDataset.open(folder, center)).length).toBe(2);
    const damaged = Buffer.from(png);
    damaged[60]! ^= 1;
    await writeFile(join(folder, "tall.png"), damaged);
    const data = await FolderDataset.open(folder, center);
    await expect(data.read(0, 16, 16)).rejects.toThrow(/tall\.png is damaged/);
  });
});
