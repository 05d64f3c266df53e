import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Description } from "../../src/inspect/index.ts";
import { runCli, temporaryFolder } from "../helpers/cli.ts";
import { expectedPath } from "../helpers/expected.ts";

const system = expectedPath("recordings/system");

async function describeJson(...args: string[]): Promise<Description> {
  const { code, stdout, stderr } = await runCli(["describe", ...args, "--json"]);
  expect([code, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout);
}

function* nodes(node: Description): Generator<Description> {
  yield node;
  for (const child of node.children) yield* nodes(child);
}

describe("describe", () => {
  // The published numbers of parameters; SDXL's and Swin's in full.
  it.each([
    ["mitsua-likes", { unet: 1_289_823_752, character_detector: 87_768_224 }],
    ["sd-1.5", { unet: 859_520_964, vae: 83_653_863, text_encoder: 123_060_480 }],
    ["sd-2.1", { unet: 865_910_724, vae: 83_653_863, text_encoder: 340_387_840 }],
    ["sdxl", { unet: 2_567_463_684, vae: 83_653_863, text_encoder: 123_060_480, text_encoder_2: 694_659_840 }],
  ])("counts the parameters of %s", async (preset, counts) => {
    const { children } = await describeJson(preset);
    const found = Object.fromEntries(children.map(({ name, parameters }) => [name, parameters]));
    expect(found).toMatchObject(counts);
  });

  it("gives every layer a name, a type, its parameters, its shape and its work", async () => {
    const tree = await describeJson("mitsua-likes");
    for (const node of nodes(tree)) {
      expect(node).toMatchObject({ name: expect.any(String), type: expect.any(String), children: expect.any(Array) });
      for (const count of [node.parameters, node.flops]) expect(Number.isSafeInteger(count)).toBe(true);
      const below = node.children.reduce((sum, child) => sum + child.parameters, 0);
      const own = Object.values(node.weights).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(below + own).toBe(node.parameters);
      expect(node.children.reduce((sum, child) => sum + child.flops, 0)).toBeLessThanOrEqual(node.flops);
    }
    const unet = tree.children.find(({ name }) => name === "unet")!;
    expect(unet.outputShape).toEqual([1, 96, 96, 8]);
    expect(tree).toMatchObject({ width: 768, height: 768 });
  });

  it("describes the largest in under a second", async () => {
    for (const preset of ["mitsua-likes", "sdxl"]) {
      expect((await runCli(["describe", preset])).cpu).toBeLessThan(1000);
    }
  });

  it("counts the operations that PyTorch counts", async () => {
    const expected = JSON.parse(await readFile(expectedPath("recordings/flops.json"), "utf8"));
    const { children } = await describeJson(system, "--width", "12", "--height", "8");
    const found = Object.fromEntries(children.map(({ name, flops }) => [name, flops]));
    expect(found).toMatchObject(expected);
  });

  it("reads no weights", async () => {
    const folder = await temporaryFolder();
    await cp(system, folder, { recursive: true });
    const files = await readdir(folder, { recursive: true });
    for (const file of files) if (file.endsWith(".safetensors")) await rm(join(folder, file));
    const { name: _, ...without } = await describeJson(folder);
    const { name: __, ...whole } = await describeJson(system);
    expect(without).toEqual(whole);
  });

  it("takes the folder of one model", async () => {
    const { children } = await describeJson(join(system, "vae"), "--width", "32", "--height", "16");
    expect(children).toHaveLength(1);
    const decoder = children[0]!.children.find(({ name }) => name === "decoder")!;
    expect(decoder).toMatchObject({ type: "Decoder", outputShape: [1, 16, 32, 3] });
  });

  it("goes as deep as it is told", async () => {
    const { children } = await describeJson("sdxl", "--depth", "1");
    for (const component of children) for (const layer of component.children) expect(layer.children).toEqual([]);
  });

  it("prints a tree within 100 columns, its like layers folded", async () => {
    for (const depth of ["0", "1", "2", "9"]) {
      const { code, stdout } = await runCli(["describe", "sdxl", "--depth", depth]);
      expect(code).toBe(0);
      for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
    }
    const { stdout } = await runCli(["describe", "sdxl", "--depth", "4"]);
    expect(stdout).toMatch(/^ +transformer_blocks\.0 … 9 +10 × TransformerBlock/m);
    expect(stdout).toMatch(/^unet +UNet +\[1, 128, 128, 4\] +2\.57 G +6\.76 T$/m);
  });

  it("names the field that is not supported", async () => {
    const folder = await temporaryFolder();
    await cp(join(system, "unet"), folder, { recursive: true });
    const path = join(folder, "config.json");
    const config = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...config, attention_type: "gated" }));
    const { code, stderr } = await runCli(["describe", folder]);
    expect(code).toBe(2);
    expect(stderr).toContain(`${path}: the field "attention_type" is "gated"`);
  });

  it("says which folder of a system is missing", async () => {
    const folder = await temporaryFolder();
    await cp(system, folder, { recursive: true });
    await rm(join(folder, "unet"), { recursive: true });
    const { code, stderr } = await runCli(["describe", folder]);
    expect(code).toBe(2);
    expect(stderr).toContain(`there is no folder ${join(folder, "unet")}`);
  });
});
