import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { beforeEach, expect, test } from "vitest";
import { WeightsError } from "../../src/errors.ts";
import { openPipeline } from "../../src/pipelines/index.ts";
import { temporaryFolder } from "../helpers/cli.ts";

const small = { prompt: "花", seed: 1, width: 64, height: 64, steps: 2 };

let folder: string;
beforeEach(async () => {
  folder = join(await temporaryFolder(), "model");
  await mkdir(folder);
  await cp(resolve("weights/tiny"), folder, { recursive: true });
});

test.each(["vae/diffusion_pytorch_model.safetensors", "character_detector/model.safetensors"])(
  "%s that is cut short is noticed before the work, not at its end",
  async (file) => {
    const path = join(folder, file);
    await writeFile(path, (await readFile(path)).subarray(0, -1));
    const pipeline = await openPipeline(folder);
    const tasks = new Set<string>();
    const run = pipeline.run({ ...small, onProgress: ({ task }) => tasks.add(task) });
    await expect(run).rejects.toThrow(WeightsError);
    await expect(run).rejects.toThrow(path);
    expect([...tasks]).toEqual([]);
  },
);

test("weights that a request does not need may be damaged", async () => {
  await writeFile(join(folder, "character_detector/model.safetensors"), "");
  const pipeline = await openPipeline(folder);
  expect((await pipeline.run({ ...small, similarityCheck: false })).images).toHaveLength(1);
  await pipeline.dispose();
});
