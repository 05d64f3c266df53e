import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runCli, temporaryFolder } from "../helpers/cli.ts";
import { expectedPath } from "../helpers/expected.ts";

const [drawn, others] = [expectedPath("evaluation/drawn"), expectedPath("evaluation/others")];
const expected = JSON.parse(await readFile(expectedPath("evaluation/expected.json"), "utf8")).folders;

async function clip(): Promise<string> {
  const folder = await temporaryFolder();
  await cp(expectedPath("evaluation/clip"), folder, { recursive: true });
  await cp("weights/tiny/tokenizer", folder, { recursive: true });
  return folder;
}

describe("evaluate", () => {
  test("prints CLIP score, FID and statistics, and what to think of few pictures", async () => {
    const { code, stdout, stderr } = await runCli(["evaluate", drawn, "--against", others, "--model", await clip()]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^pictures +5 of 24×16\nagainst +7 of 24×16\nCLIP score +10\.382, the mean of 5 pictures\n/);
    expect(stdout).toMatch(/^FID +0\.840\d, of 32 features$/m);
    expect(stdout).toMatch(/^wavelets +[\d.]+ dB apart$/m);
    expect(stdout).toMatch(/fewer pictures than features/);
    expect(stderr).toMatch(/looking at .*drawn …\n/);
  });

  test("prints JSON alone where it is asked for it", async () => {
    const args = ["evaluate", drawn, "--against", others, "--model", await clip(), "--json", "--quiet"];
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stderr]).toEqual([0, ""]);
    const { pictures, against, clipScore, fid, featureDimensions, distance, notes } = JSON.parse(stdout);
    expect([pictures.folder, pictures.count, against.count]).toEqual([drawn, 5, 7]);
    expect(Math.abs(clipScore.each["2.png"] - expected.clip_score[2])).toBeLessThan(1e-3);
    expect(Math.abs(fid / expected.fid - 1)).toBeLessThan(1e-4);
    expect([featureDimensions, notes]).toEqual([32, []]);
    expect(Object.keys(distance)).toEqual(["mean", "std", "wavelet"]);
  });

  test("needs no network for colours and wavelets", async () => {
    const alone = await runCli(["evaluate", drawn, "--quiet"]);
    expect(alone.stdout).toMatch(/^mean colour +0\.\d{3}, 0\.\d{3}, 0\.\d{3} \(red, green, blue\)$/m);
    const both = await runCli(["evaluate", drawn, "--against", drawn, "--quiet"]);
    expect(both.stdout).toMatch(/^wavelets +0\.000 dB apart$/m);
    expect([alone.stderr, both.stderr]).toEqual(["", ""]);
  });

  test("says that there are no prompts where there are none", async () => {
    const { code, stdout } = await runCli(["evaluate", others, "--model", await clip(), "--quiet"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/note: .*others has no prompts, so there is no CLIP score: give --prompts/);
  });

  test("compares no wavelets of pictures of other sizes", async () => {
    const larger = await temporaryFolder();
    const { encodePng } = await import("../../src/image/index.ts");
    for (const name of ["a", "b"]) {
      const picture = { width: 32, height: 32, data: new Uint8Array(32 * 32 * 3).fill(99) };
      await writeFile(join(larger, `${name}.png`), encodePng(picture));
    }
    const refused = await runCli(["evaluate", drawn, "--against", larger, "--quiet"]);
    expect([refused.code, refused.stdout]).toEqual([2, ""]);
    expect(refused.stderr).toMatch(
      /sizes of the pictures differ \(24×16 and 32×32\), so their wavelets can't be compared/,
    );
    const { code, stdout } = await runCli(["evaluate", drawn, "--against", larger, "--model", await clip(), "--quiet"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/note: The sizes of the pictures differ .* are not compared/);
  });

  describe("refuses, in a line, before the work,", () => {
    const one = async () => {
      const folder = await temporaryFolder();
      await cp(join(drawn, "0.png"), join(folder, "0.png"));
      return folder;
    };
    const cut = async () => {
      const folder = await temporaryFolder();
      await writeFile(join(folder, "x.png"), (await readFile(join(drawn, "0.png"))).subarray(0, 300));
      return folder;
    };
    const prompts = async () => {
      const path = join(await temporaryFolder(), "prompts.txt");
      await writeFile(path, "a\nb\n");
      return path;
    };
    test.each<[string, () => Promise<string[]>, RegExp]>([
      ["a folder that is not there", async () => ["/nowhere"], /There is no \/nowhere/],
      ["one without pictures", async () => [await clip()], /has no PNG files/],
      ["a picture that is cut short", async () => [await cut()], /x\.png is cut short/],
      [
        "a FID of one picture",
        async () => [drawn, "--against", await one(), "--model", await clip()],
        /has 1 picture; a FID needs at least 2/,
      ],
      ["prompts of another number", async () => [drawn, "--prompts", await prompts()], /prompts\.txt has 2 lines/],
      ["a model without an image tower", async () => [drawn, "--model", "weights/tiny"], /tiny has no image tower/],
    ])("%s", async (_, args, message) => {
      const { code, stdout, stderr } = await runCli(["evaluate", "--quiet", ...(await args())]);
      expect([code, stdout]).toEqual([2, ""]);
      expect(stderr).toMatch(/^error: .*\n$/);
      expect(stderr).toMatch(message);
    });
  });

  test("stops at Ctrl-C", async () => {
    const { code, stderr } = await runCli(["evaluate", drawn, "--against", others, "--model", await clip()], {
      onStderr: { matching: /looking at/, act: (child) => child.kill("SIGINT") },
    });
    expect([130, 0]).toContain(code); // so few pictures may be done by then
    if (code === 130) expect(stderr).toMatch(/stopped\.\n$/);
  });
});
