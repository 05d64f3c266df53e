import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodePng } from "../../src/image/index.ts";
import { captionsOf, drawScene, heldOutPrompts, type Scene } from "../../src/scenes/index.ts";
import { FolderDataset } from "../../src/training/folder-dataset.ts";
import { runCli, temporaryFolder } from "../helpers/cli.ts";

async function lines<Line>(path: string): Promise<Line[]> {
  const text = await readFile(path, "utf8");
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

describe("scenes", () => {
  it("writes a folder as training reads it", async () => {
    const folder = join(await temporaryFolder(), "scenes");
    const grid = `${folder}.png`;
    const { code, stdout } = await runCli([
      "scenes",
      folder,
      "--count",
      "5",
      "--seed",
      "3",
      "--size",
      "64x64",
      "80x48",
      "--grid",
      grid,
    ]);
    expect([code, stdout]).toEqual([0, `${folder}: 5 pictures, with captions.jsonl and scenes.jsonl.\n`]);
    const drawn = await lines<{ file: string; scene: Scene }>(join(folder, "scenes.jsonl"));
    const data = await FolderDataset.open(folder, { crop: "center", seed: 0 });
    expect([data.length, drawn.length, data.sizeOf(1)]).toEqual([5, 5, [80, 48]]);
    for (const [index, { scene }] of drawn.entries()) {
      const { picture, captions } = await data.read(index, ...data.sizeOf(index));
      expect(picture.data).toEqual(drawScene(scene, ...data.sizeOf(index)).data);
      expect(captions).toEqual(captionsOf(scene, 3, index));
    }
    expect(decodePng(await readFile(grid), grid).picture.width).toBeGreaterThan(5 * 64);
  });

  it("draws what training never shows, with a prompt for each", async () => {
    const folder = await temporaryFolder();
    await runCli(["scenes", folder, "--count", "4", "--seed", "9", "--held-out", "--quiet"]);
    const written = await lines<{ captions: string[] }>(join(folder, "captions.jsonl"));
    expect(written.map(({ captions }) => captions)).toEqual(heldOutPrompts(4, 9).map(({ prompt }) => [prompt]));
  });

  it("stops at Ctrl-C without lists, so that half a folder is no data", async () => {
    const folder = join(await temporaryFolder(), "scenes");
    const { code } = await runCli(["scenes", folder, "--count", "100000"], {
      onStderr: { matching: /drawing/, act: (child) => child.kill("SIGINT") },
    });
    expect(code).toBe(130);
    expect((await readdir(folder)).filter((name) => !/^\d{6}\.png$/.test(name))).toEqual([]);
  });

  it.each([
    [["--size", "64"], "a width and a height, as 64x64"],
    [["--size", "16x64"], "both sides are at least 32"],
    [["--count", "0"], "whole number from 1"],
    [["--grid", "/nowhere/grid.png"], "there is no folder /nowhere"],
  ])("%s is a mistake", async (options, message) => {
    const { code, stderr } = await runCli(["scenes", await temporaryFolder(), ...options]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
  });
});
