import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { decodePng, encodePng } from "../../src/image/index.ts";
import { TorchCpuGenerator } from "../../src/random/index.ts";
import { openSafetensors, toFloat32 } from "../../src/weights/index.ts";
import { root, runCli, temporaryFolder } from "../helpers/cli.ts";

const model = join(root, "weights/tiny");
const quick = ["generate", "--model", model, "--steps", "2", "--width", "64", "--height", "48", "--quiet"];

describe("generate", () => {
  it("makes a picture and says so in one JSON object", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "花.png");
    const args = ["--prompt", "絵藍ミツア、花畑", "--seed", "7", "--output", output, "--json"];
    const { code, stdout, stderr } = await runCli([...quick, ...args]);
    expect([code, stderr]).toEqual([0, ""]);
    const { images, credit, warnings } = JSON.parse(stdout);
    expect(images).toEqual([
      {
        path: output,
        seed: 7,
        width: 64,
        height: 48,
        prompt: "絵藍ミツア、花畑",
        detectedPublicFictionalCharacters: expect.any(Array),
        detectedPublicFictionalCharactersInfo: expect.any(Object),
      },
    ]);
    const probabilities = images[0].detectedPublicFictionalCharactersInfo;
    const over = Object.keys(probabilities).filter((label) => probabilities[label] > 0.5);
    expect(images[0].detectedPublicFictionalCharacters.toSorted()).toEqual(over.toSorted());
    expect(credit).toMatch(/tiny random model/);
    expect(warnings).toEqual([]);
    const { picture, texts } = decodePng(await readFile(output), output);
    expect([picture.width, picture.height]).toEqual([64, 48]);
    expect(texts.get("Comment")).toBe(credit);
    expect(await readdir(folder)).toEqual(["花.png"]);
  });

  it("says before the work that a file can't be written, or would be twice", async () => {
    const folder = await temporaryFolder();
    const png = join(folder, "x.png");
    await mkdir(join(folder, "x-2.png"));
    for (const [args, message] of [
      [["--output", png, "--save-latents", png], /x.png would be written twice/],
      [["--output", ""], /A file's name is empty/],
      [["--output", png, "--num-images", "3"], /x-2.png is a folder/],
    ] as const) {
      const { code, stderr } = await runCli([...quick, "--prompt", "a", ...args]);
      expect(code).toBe(2);
      expect(stderr).toMatch(message);
      expect(await readdir(folder)).toEqual(["x-2.png"]);
    }
  });

  it("numbers several pictures, and gives the i-th the seed + i", async () => {
    const folder = await temporaryFolder();
    const args = [
      "--prompt",
      "a",
      "--prompt",
      "b",
      "--num-images",
      "2",
      "--seed",
      "40",
      "--output",
      join(folder, "x.png"),
    ];
    const { code, stdout } = await runCli([...quick, ...args, "--json"]);
    expect(code).toBe(0);
    const { images } = JSON.parse(stdout);
    expect(images.map(({ path, seed, prompt }: Record<string, unknown>) => [path, seed, prompt])).toEqual([
      [join(folder, "x-1.png"), 40, "a"],
      [join(folder, "x-2.png"), 41, "a"],
      [join(folder, "x-3.png"), 42, "b"],
      [join(folder, "x-4.png"), 43, "b"],
    ]);
    expect((await readdir(folder)).toSorted()).toEqual(["x-1.png", "x-2.png", "x-3.png", "x-4.png"]);
  });

  it("names a picture after its seed where it is not told a name", async () => {
    const folder = await temporaryFolder();
    const { code, stdout } = await runCli([...quick, "--prompt", "a", "--seed", "18446744073709551615", "--json"], {
      cwd: folder,
    });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).images[0]).toMatchObject({
      path: "picture-18446744073709551615.png",
      seed: "18446744073709551615", // more than JSON's numbers hold
    });
  });

  it("saves latents in PyTorch's layout, and the noise is the seed's", async () => {
    const folder = await temporaryFolder();
    const path = join(folder, "latents.safetensors");
    const args = [
      "--prompt",
      "a",
      "--negative-prompt",
      "b",
      "--seed",
      "3",
      "--num-images",
      "2",
      "--save-latents",
      path,
    ];
    expect((await runCli([...quick, ...args, "--output", join(folder, "x.png")])).code).toBe(0);
    const source = await openSafetensors(path);
    const shapes = Object.fromEntries([...source.entries].map(([name, { dtype, shape }]) => [name, [dtype, ...shape]]));
    expect(shapes).toEqual({
      initial_latents: ["F32", 2, 8, 6, 8],
      final_latents: ["F32", 2, 8, 6, 8],
      prompt_embeds: ["F32", 2, 64, 32],
      pooled_prompt_embeds: ["F32", 2, 32],
      negative_prompt_embeds: ["F32", 2, 64, 32],
      image: ["F32", 2, 3, 48, 64],
    });
    const noise = toFloat32(await source.read("initial_latents"), "F32");
    expect(noise.subarray(0, 8 * 6 * 8)).toEqual(new TorchCpuGenerator(3).randn(8 * 6 * 8));
    expect(noise.subarray(8 * 6 * 8)).toEqual(new TorchCpuGenerator(4).randn(8 * 6 * 8));
    const image = toFloat32(await source.read("image"), "F32");
    expect(image.every((value) => value >= 0 && value <= 1)).toBe(true);
    await source.close();
  });

  it("makes a picture again from its file, with what is changed", async () => {
    const folder = await temporaryFolder();
    const [first, again, other] = ["1", "2", "3"].map((name) => join(folder, `${name}.png`)) as [
      string,
      string,
      string,
    ];
    const args = [
      "--prompt",
      "夜の花畑",
      "--negative-prompt",
      "",
      "--guidance-scale",
      "3",
      "--seed",
      "9",
      "--output",
      first,
    ];
    expect((await runCli([...quick, ...args])).code).toBe(0);
    const from = ["generate", "--model", model, "--from", first, "--quiet"];
    expect((await runCli([...from, "--output", again])).code).toBe(0);
    expect((await runCli([...from, "--seed", "10", "--output", other])).code).toBe(0);
    const [a, b, c] = await Promise.all([first, again, other].map((path) => readFile(path)));
    expect(b).toEqual(a);
    expect(c).not.toEqual(a);

    const { code, stdout } = await runCli(["show", first, "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      width: 64,
      height: 48,
      record: { prompt: "夜の花畑", negativePrompt: "", guidanceScale: 3, seed: 9, steps: 2 },
      latentBytes: null,
    });
    const shown = await runCli(["show", first]);
    expect(shown.stdout).toMatch(/^prompt +夜の花畑$/m);
    expect(shown.stdout).toMatch(/^guidance scale +3$/m);
  });

  it("starts from latents, of a file or of a picture, and leaves what a mask keeps", async () => {
    const folder = await temporaryFolder();
    const at = (name: string) => join(folder, name);
    const args = [
      "--prompt",
      "a",
      "--seed",
      "1",
      "--save-latents",
      at("a.safetensors"),
      "--save-latent-in-png",
      "--output",
      at("a.png"),
    ];
    expect((await runCli([...quick, ...args])).code).toBe(0);
    const data = new Uint8Array(64 * 48 * 3).map((_, i) => (Math.floor(i / 3) % 64 >= 32 ? 255 : 0)); // the right half anew
    await writeFile(at("mask.png"), encodePng({ width: 64, height: 48, data }));

    const final = async (name: string, extra: string[]) => {
      const output = ["--output", at("b.png"), "--save-latents", at(name)];
      const { code, stderr } = await runCli([
        ...quick.slice(0, 5),
        "--quiet",
        "--prompt",
        "b",
        "--seed",
        "2",
        ...output,
        ...extra,
      ]);
      expect([code, stderr]).toEqual([0, ""]);
      const source = await openSafetensors(at(name));
      const latents = toFloat32(await source.read("final_latents"), "F32");
      await source.close();
      return latents;
    };
    const source = await openSafetensors(at("a.safetensors"));
    const kept = toFloat32(await source.read("final_latents"), "F32");
    await source.close();
    const fromFile = await final("b.safetensors", ["--latents", at("a.safetensors"), "--strength", "0.5"]);
    const fromPicture = await final("c.safetensors", ["--latents", at("a.png"), "--strength", "0.5"]);
    expect(fromPicture).toEqual(fromFile);
    expect(fromFile).not.toEqual(kept);

    const masked = await final("d.safetensors", ["--latents", at("a.png"), "--mask", at("mask.png")]);
    const isLeft = (i: number) => i % 8 < 4; // [8, 6, 8] cells
    expect(masked.filter((_, i) => isLeft(i))).toEqual(kept.filter((_, i) => isLeft(i)));
    expect(masked.filter((_, i) => !isLeft(i))).not.toEqual(kept.filter((_, i) => !isLeft(i)));
  });

  it.each([
    ["nothing to draw", [], /what is to be drawn\? Give --prompt/],
    ["a size that does not fit", ["--prompt", "a", "--width", "60"], /width is 60; it must be a multiple of 8/],
    ["a mask without latents", ["--prompt", "a", "--mask", join(root, "package.json")], /package\.json is not a PNG/],
    ["a strength without latents", ["--prompt", "a", "--strength", "0.5"], /give that picture's latents too/],
    ["an unknown scheduler", ["--prompt", "a", "--scheduler", "magic"], /no scheduler named "magic"/],
    [
      "an output without a folder",
      ["--prompt", "a", "--output", "/no/such/folder/x.png"],
      /no folder \/no\/such\/folder/,
    ],
    ["an output that is a folder", ["--prompt", "a", "--output", root], /is a folder: give the name of a file/],
    [
      "latents that are not in the file",
      ["--prompt", "a", "--latents", join(model, "vae/diffusion_pytorch_model.safetensors")],
      /no tensor "final_latents"/,
    ],
    ["a picture that says nothing", ["--from", join(root, "package.json")], /not a PNG/],
    ["a seed beyond all", ["--prompt", "a", "--seed", "18446744073709551616"], /18446744073709551616 is out of range/],
  ])("refuses %s, before any work", async (_, args, message) => {
    const { code, stdout, stderr } = await runCli([...quick, ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: /);
    expect(stderr).toMatch(message);
  });

  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("ends after %s with exit code %d and no half file", async (signal, exitCode) => {
    const folder = await temporaryFolder();
    const args = ["generate", "--model", model, "--prompt", "a", "--steps", "1000", "--output", join(folder, "x.png")];
    const { code, stdout, stderr } = await runCli(args, {
      onStderr: { matching: /denoising/, act: (child) => child.kill(signal) },
    });
    expect([code, stdout]).toEqual([exitCode, ""]);
    expect(stderr).toMatch(/\nstopped\.\n$/);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe("convert", () => {
  it("makes a folder that draws the same", async () => {
    const folder = await temporaryFolder();
    const converted = join(folder, "model");
    const { code, stdout } = await runCli(["convert", model, converted, "--dtype", "float32", "--quiet"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/ tensors, .* dtype float32, all read again and right\.$/m);
    const pictures = [];
    for (const from of [model, converted]) {
      const output = join(folder, "x.png");
      const { code } = await runCli([...quick, "--model", from, "--prompt", "a", "--seed", "1", "--output", output]);
      expect(code).toBe(0);
      pictures.push(await readFile(output));
    }
    expect(pictures[0]).toEqual(pictures[1]);
  });

  it("prints its report as JSON", async () => {
    const { code, stdout, stderr } = await runCli([
      "convert",
      model,
      join(await temporaryFolder(), "m"),
      "--json",
      "--quiet",
    ]);
    expect([code, stderr]).toEqual([0, ""]);
    const { files, unfinished } = JSON.parse(stdout);
    expect(unfinished).toEqual([]);
    for (const { sha256 } of files) expect(sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  it("leaves a folder of somebody else's alone", async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, "letter.txt"), "dear");
    const { code, stderr } = await runCli(["convert", model, folder, "--quiet"]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: .*letter\.txt/);
    expect(await readdir(folder)).toEqual(["letter.txt"]);
  });
});
