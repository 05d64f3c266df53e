import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  evaluateFolder,
  frechetDistance,
  openCaptionEncoder,
  openPictureEncoder,
  PictureFolder,
  statisticsDistance,
} from "../../src/evaluation/index.ts";
import { encodePng, pictureTexts } from "../../src/image/index.ts";
import { temporaryFolder } from "../helpers/cli.ts";
import { expectedPath } from "../helpers/expected.ts";

const expected = JSON.parse(await readFile(expectedPath("evaluation/expected.json"), "utf8")).folders;
const [drawn, others] = [expectedPath("evaluation/drawn"), expectedPath("evaluation/others")];

/** The reference's CLIP, with the tiny model's tokenizer. */
async function clip(): Promise<string> {
  const folder = await temporaryFolder();
  await cp(expectedPath("evaluation/clip"), folder, { recursive: true });
  await cp("weights/tiny/tokenizer", folder, { recursive: true });
  return folder;
}

async function copyOfDrawn(): Promise<string> {
  const folder = await temporaryFolder();
  await cp(drawn, folder, { recursive: true });
  return folder;
}

test("CLIP scores and FID of two folders are those of transformers' towers", async () => {
  const path = await clip();
  const pictureEncoder = await openPictureEncoder(path);
  const captionEncoder = await openCaptionEncoder(path);
  const found = await evaluateFolder(await PictureFolder.open(drawn), { pictureEncoder, captionEncoder });
  const other = await evaluateFolder(await PictureFolder.open(others), { pictureEncoder });
  pictureEncoder.dispose();
  captionEncoder.dispose();

  expect(Object.keys(found.clipScore!.each)).toEqual(["0.png", "1.png", "2.png", "3.png", "4.png"]);
  for (const [i, score] of Object.values(found.clipScore!.each).entries()) {
    expect(Math.abs(score - expected.clip_score[i])).toBeLessThan(1e-3); // of 100
  }
  expect(Math.abs(frechetDistance(found.features!, other.features!) / expected.fid - 1)).toBeLessThan(1e-4);
  expect(other.clipScore).toBeUndefined();
  expect([found.count, other.count, found.sizes]).toEqual([5, 7, { "24×16": 5 }]);
});

test.each(["drawn", "others"])("colours and wavelets of %s are numpy's", async (name) => {
  const { pixels } = await evaluateFolder(await PictureFolder.open(expectedPath(`evaluation/${name}`)));
  const { mean, std, wavelet } = expected[name];
  const pairs = [
    [pixels.mean, mean],
    [pixels.std, std],
    [pixels.wavelet.flat(), wavelet.flat()],
  ] as const;
  for (const [ours, theirs] of pairs) {
    expect(ours).toHaveLength(theirs.length);
    for (const [i, value] of ours.entries()) expect(Math.abs(value / theirs[i] - 1)).toBeLessThan(1e-9);
  }
});

test("the distance of statistics is the root mean square of what differs, wavelets in decibels", () => {
  const a = {
    count: 1,
    mean: [0.5, 0.5, 0.5],
    std: [0.1, 0.1, 0.1],
    wavelet: [
      [0.01, 0.01, 0.01],
      [1, 1, 1],
    ],
  };
  const b = { count: 1, mean: [0.8, 0.5, 0.1], std: [0.1, 0.1, 0.1], wavelet: [[0.1, 0.01, 0.001]] };
  const { mean, std, wavelet } = statisticsDistance(a, b);
  expect(mean).toBeCloseTo(Math.sqrt((0.09 + 0.16) / 3), 12);
  expect(std).toBe(0);
  expect(wavelet).toBeCloseTo(Math.sqrt(200 / 3), 10);
  const flat = { ...b, wavelet: [[0, 0, 0]] };
  expect(statisticsDistance(flat, flat).wavelet).toBe(0);
});

describe("what a picture shows is said", () => {
  const captionsIn = async (folder: PictureFolder) => {
    const captions: unknown[] = [];
    for await (const found of folder.pictures()) captions.push(found.captions);
    return captions;
  };

  test("by the folder's captions.jsonl", async () => {
    const captions = await captionsIn(await PictureFolder.open(drawn));
    expect(captions[2]).toEqual(["a cat in the forest", "夜", "night"]);
  });

  test("by a file with a line for each, before that", async () => {
    const prompts = join(await temporaryFolder(), "prompts.txt");
    await writeFile(prompts, "one\r\ntwo\n3\n4\n五\n");
    const captions = await captionsIn(await PictureFolder.open(drawn, { prompts }));
    expect(captions).toEqual([["one"], ["two"], ["3"], ["4"], ["五"]]);
  });

  test("by the PNG file itself, where generate made it", async () => {
    const folder = await temporaryFolder();
    const picture = { width: 2, height: 2, data: new Uint8Array(12) };
    await writeFile(join(folder, "a.png"), encodePng(picture, pictureTexts({ record: { prompt: "夜の海" } })));
    await writeFile(join(folder, "b.png"), encodePng(picture));
    const found = await PictureFolder.open(folder);
    expect(await found.hasCaptions()).toBe(true);
    expect(await captionsIn(found)).toEqual([["夜の海"], undefined]);
  });

  test("by nothing", async () => {
    expect(await (await PictureFolder.open(others)).hasCaptions()).toBe(false);
  });
});

describe("refused, with its name,", () => {
  test("a folder that is not there, or has no pictures", async () => {
    await expect(PictureFolder.open("/nowhere")).rejects.toThrow("There is no /nowhere.");
    const empty = await temporaryFolder();
    await expect(PictureFolder.open(empty)).rejects.toThrow(`${empty} has no PNG files.`);
  });

  test("a picture that is cut short", async () => {
    const folder = await copyOfDrawn();
    const path = join(folder, "3.png");
    await writeFile(path, (await readFile(path)).subarray(0, 500));
    await expect(evaluateFolder(await PictureFolder.open(folder))).rejects.toThrow(`${path} is cut short`);
  });

  test("prompts of another number", async () => {
    const prompts = join(await temporaryFolder(), "prompts.txt");
    await writeFile(prompts, "one\ntwo\n");
    await expect(PictureFolder.open(drawn, { prompts })).rejects.toThrow(`${prompts} has 2 lines, and ${drawn} has 5`);
  });

  test.each([
    ["{", /captions.jsonl, line 1 is not JSON/],
    ['{"file": "0.png"}', /captions.jsonl, line 1: the field "captions" is missing/],
    ['{"file": "0.png", "captions": ["a"]}', /captions.jsonl has no line for 1.png/],
  ])("a captions.jsonl of %s", async (line, message) => {
    const folder = await copyOfDrawn();
    await writeFile(join(folder, "captions.jsonl"), `${line}\n`);
    await expect(PictureFolder.open(folder)).rejects.toThrow(message);
  });

  test("a model without an image tower, and one without a text tower", async () => {
    await expect(openPictureEncoder("weights/tiny")).rejects.toThrow(/weights\/tiny has no image tower/);
    await expect(openPictureEncoder("weights/tiny/unet")).rejects.toThrow(/is of no image tower of CLIP's/);
    await expect(openCaptionEncoder(expectedPath("clip_vision/clip"))).rejects.toThrow(/has no text_config/);
  });

  test("a CLIP whose image tower is SigLIP's", async () => {
    const path = await clip();
    const where = join(path, "config.json");
    const json = JSON.parse(await readFile(where, "utf8"));
    json.vision_config.model_type = "siglip_vision_model";
    await writeFile(where, JSON.stringify(json));
    await expect(openPictureEncoder(path)).rejects.toThrow(
      /vision_config: .*"siglip_vision_model", which is not supported/,
    );
  });
});

test("an abort ends it between pictures", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await expect(evaluateFolder(await PictureFolder.open(drawn), { signal })).rejects.toThrow("enough");
});
