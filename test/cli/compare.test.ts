import { cp } from "node:fs/promises";
import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { openSystem } from "../../src/inspect/index.ts";
import { parameters } from "../../src/layers/index.ts";
import { loadWeights, openSafetensors, openWeights, saveWeights } from "../../src/weights/index.ts";
import { runCli, temporaryFolder } from "../helpers/cli.ts";
import { expectedPath } from "../helpers/expected.ts";

const system = expectedPath("recordings/system");
const recording = expectedPath("recordings/unet.safetensors");

/** The recorded system, but for one weight of its UNet. */
async function withWrongWeight(name: string): Promise<string> {
  const folder = await temporaryFolder();
  await cp(system, folder, { recursive: true });
  const { models, folders } = await openSystem(folder);
  const source = await openWeights(folders.unet!);
  await loadWeights(models.unet!, source);
  await source.close();
  const parameter = new Map(parameters(models.unet!)).get(name)!;
  parameter.assign(tf.mul(parameter.value, 1.5));
  await saveWeights(models.unet!, join(folders.unet!, "diffusion_pytorch_model.safetensors"));
  return folder;
}

describe("compare", () => {
  it("passes a model that is right, and finds it by the recording", async () => {
    const { code, stdout, stderr } = await runCli(["compare", system, recording, "--quiet"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^layer +error +largest difference\n/);
    expect(stdout).toMatch(/^All \d+ layers of unet are within 0.0001.$/m);
    expect(stdout.match(/e-\d+ +\S+$/gm)).toHaveLength(20);
  });

  it("names the first layer that diverges, and the worst", async () => {
    const folder = await withWrongWeight("down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_v.weight");
    const { code, stdout } = await runCli(["compare", folder, recording, "--quiet", "--limit", "0"]);
    expect(code).toBe(1);
    expect(stdout).toMatch(
      /The first to return is down_blocks\.1\.attentions\.0\.transformer_blocks\.0\.attn2\.to_v \(/,
    );
    const errors = [...stdout.matchAll(/^\S+ +(\S+) +\S+$/gm)].slice(1).map(([, error]) => Number(error));
    expect(errors.length).toBeGreaterThan(100);
    expect(errors).toEqual(errors.toSorted((a, b) => b - a));
  });

  it("prints JSON alone where it is asked for it", async () => {
    const { code, stdout } = await runCli(["compare", join(system, "unet"), recording, "--json", "--tolerance", "0"]);
    expect(code).toBe(1);
    const { component, tolerance, firstOver, layers, unmatched } = JSON.parse(stdout);
    expect([component, tolerance]).toEqual(["unet", 0]);
    expect(layers[0].error).toBeGreaterThan(0);
    expect(layers.map(({ path }: { path: string }) => path)).toContain(firstOver);
    expect(unmatched).toContain("down_blocks.1.attentions.0.transformer_blocks.0.ff.net.1");
  });

  it.each([
    [
      "a component that is not there",
      [system, recording, "--component", "text"],
      /has no model "text". It has unet, vae/,
    ],
    ["a recording of another model", [system, recording, "--component", "vae"], /no argument "encoder_hidden_states"/],
    [
      "a file without activations",
      [system, join(system, "vae", "diffusion_pytorch_model.safetensors"), "--component", "vae"],
      /no recording/,
    ],
  ])("refuses %s", async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(["compare", "--quiet", ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(stderr).toMatch(message);
  });
});

describe("observe", () => {
  it("writes what compare and Python read", async () => {
    const folder = await temporaryFolder();
    const output = join(folder, "ours.safetensors");
    const args = [
      "observe",
      system,
      "--component",
      "unet",
      "--pattern",
      "*.attn2",
      "--pattern",
      "conv_out",
      "--output",
      output,
    ];
    const { code, stdout } = await runCli([...args, "--input", recording, "--quiet", "--json"]);
    expect(code).toBe(0);
    const { component, layers } = JSON.parse(stdout);
    expect(component).toBe("unet");
    const source = await openSafetensors(output);
    const names = [...source.entries.keys()].filter((name) => name.startsWith("outputs/"));
    expect(names.toSorted()).toEqual(layers.map(({ path }: { path: string }) => `outputs/${path}`).toSorted());
    expect(names.every((name) => name.endsWith(".attn2") || name === "outputs/conv_out")).toBe(true);
    expect(source.entries.get("outputs/conv_out")!.shape).toEqual([1, 4, 4, 6]); // PyTorch's order
    await source.close();
    expect((await runCli(["compare", system, output, "--tolerance", "0", "--quiet"])).code).toBe(0);
  });

  it("draws the same from the same seed", async () => {
    const folder = await temporaryFolder();
    const [one, two] = [join(folder, "1.safetensors"), join(folder, "2.safetensors")];
    for (const output of [one, two]) {
      const { code } = await runCli([
        "observe",
        join(system, "text_encoder"),
        "--seed",
        "3",
        "--output",
        output,
        "--quiet",
      ]);
      expect(code).toBe(0);
    }
    const { readFile } = await import("node:fs/promises");
    expect(await readFile(one)).toEqual(await readFile(two));
  });

  it.each([
    ["no choice among several models", [system], /Give --component with one of unet, vae/],
    [
      "a pattern that fits nothing",
      [system, "--component", "vae", "--pattern", "unet.*"],
      /No layer of vae fits unet\.\*/,
    ],
    ["both a seed and a file", [system, "--seed", "1", "--input", recording], /exclude each other/],
    ["a folder that can't be written to", [join(system, "vae"), "--output", "/no/such/folder/x"], /\/no\/such\/folder/],
  ])("refuses %s", async (_, args, message) => {
    const folder = await temporaryFolder();
    const { code, stdout, stderr } = await runCli(["observe", "--quiet", "--output", join(folder, "o"), ...args]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
  });
});
