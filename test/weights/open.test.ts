import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import { encodeSafetensors, openShards, openWeights } from "../../src/weights/index.ts";
import { expectedPath, openExpected } from "../helpers/expected.ts";

let base: string;
let folder: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "open-"));
});
beforeEach(async () => {
  folder = await mkdtemp(join(base, "case-"));
});
afterAll(() => rm(base, { recursive: true }));

const one = (value: number) =>
  encodeSafetensors({ a: { dtype: "U8", shape: [1], bytes: new Uint8Array([value]) } }, { value: String(value) });

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((error: unknown) => error);
  expect(error).toBeInstanceOf(WeightsError);
  return (error as Error).message;
}

describe("openShards", () => {
  test("reads a sharded model as if it were one file", async () => {
    const shards = await openShards(expectedPath("weights/sharded/model.safetensors.index.json"));
    const whole = await openExpected("weights/sharded_whole.safetensors");
    expect([...shards.entries.keys()].sort()).toEqual([...whole.entries.keys()].sort());
    for (const name of whole.entries.keys()) expect(await shards.read(name)).toEqual(await whole.read(name));
    expect(shards.metadata).toEqual({ format: "pt" });
    await expect(shards.read("d")).rejects.toThrow('index.json has no tensor "d".');
    await Promise.all([shards.close(), whole.close()]);
  });

  async function changed(change: (weightMap: Record<string, unknown>) => void): Promise<string> {
    await cp(expectedPath("weights/sharded"), folder, { recursive: true });
    const path = join(folder, "model.safetensors.index.json");
    const index = JSON.parse(await readFile(path, "utf8"));
    change(index.weight_map);
    await writeFile(path, JSON.stringify(index));
    return path;
  }
  const second = "model-00002-of-00002.safetensors";

  test.each([
    "../x.safetensors",
    "/x.safetensors",
    "a/x.safetensors",
    "..\\x.safetensors",
    "x\u0000.safetensors",
    "C:x.safetensors",
    "x.bin",
    "",
    7,
  ])("refuses %j as the name of a shard", async (file) => {
    const path = await changed((map) => (map["b.weight"] = file));
    expect(await refusal(openShards(path))).toMatch(
      /index\.json puts tensor "b\.weight" into .*, not a \.safetensors file beside it\.$/,
    );
  });

  test("names the shard that is missing, cut short, or holds other tensors than the index says", async () => {
    const path = await changed(() => {});
    await rm(join(folder, second));
    expect(await refusal(openShards(path))).toBe(`There is no ${folder}/${second}.`);
    await writeFile(join(folder, second), "short");
    expect(await refusal(openShards(path))).toContain(
      `${folder}/${second} can't be read as safetensors: it has only 5 bytes.`,
    );
    expect(await refusal(openShards(await changed((map) => (map.d = second))))).toBe(
      `${folder}/${second} lacks tensor "d", which ${path} puts there.`,
    );
    expect(await refusal(openShards(await changed((map) => delete map["c.weight"])))).toBe(
      `${folder}/${second} has tensor "c.weight", which ${path} does not put there.`,
    );
    expect(await refusal(openShards(await changed((map) => (map["a.weight"] = second))))).toContain('"a.weight"');
  });

  test("refuses an index that is not JSON or has no weight_map", async () => {
    const path = join(folder, "model.safetensors.index.json");
    for (const [text, message] of [
      ["{", "is not JSON"],
      ["[]", "has no weight_map"],
      ["{}", "has no weight_map"],
      ['{"weight_map":[]}', "has no weight_map"],
      ["null", "has no weight_map"],
    ] as const) {
      await writeFile(path, text);
      expect(await refusal(openShards(path))).toContain(`${path} ${message}`);
    }
  });
});

describe("openWeights", () => {
  test("prefers whole to sharded and full precision to half", async () => {
    const inOrder = [
      "model.fp16.safetensors",
      "diffusion_pytorch_model.fp16.safetensors",
      "model.safetensors",
      "diffusion_pytorch_model.safetensors",
    ];
    for (const [value, file] of inOrder.entries()) {
      await writeFile(join(folder, file), one(value));
      const source = await openWeights(folder);
      expect(source.path).toBe(join(folder, file));
      expect([...(await source.read("a"))]).toEqual([value]);
      await source.close();
    }
  });

  test.each(["model.safetensors.index.json", "model.safetensors.index.fp16.json", "model.fp16.safetensors.index.json"])(
    "opens a folder by %s, a file, and an index",
    async (index) => {
      await cp(expectedPath("weights/sharded"), folder, { recursive: true });
      await rm(join(folder, "model.safetensors.index.json"));
      await cp(expectedPath("weights/sharded/model.safetensors.index.json"), join(folder, index));
      for (const path of [folder, join(folder, index), join(folder, "model-00001-of-00002.safetensors")]) {
        const source = await openWeights(path);
        expect(source.entries.has("a.weight")).toBe(true);
        await source.close();
      }
    },
  );

  test("says what is there instead", async () => {
    const start = `${folder} has no weights that can be read: `;
    const neither = "neither model.safetensors nor diffusion_pytorch_model.safetensors is there.";
    expect(await refusal(openWeights(folder))).toBe(`${start}${neither} It is empty.`);
    await writeFile(join(folder, "config.json"), "{}");
    await mkdir(join(folder, "other"));
    expect(await refusal(openWeights(folder))).toBe(`${start}${neither} It has "config.json", "other".`);
    await writeFile(join(folder, "pytorch_model.bin"), "");
    const pickle =
      "is a PyTorch pickle, which is not read yet. In Python, load the model and save it with `save_pretrained(folder, safe_serialization=True)`.";
    expect(await refusal(openWeights(folder))).toBe(`${start}"pytorch_model.bin" ${pickle}`);
    expect(await refusal(openWeights(join(folder, "pytorch_model.bin")))).toBe(`${folder}/pytorch_model.bin ${pickle}`);
    expect(await refusal(openWeights(join(folder, "none")))).toBe(`There is no ${folder}/none.`);
  });
});
