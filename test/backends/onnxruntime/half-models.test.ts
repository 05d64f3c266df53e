import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { useBackend } from "../../../src/backends/index.ts";
import { errorOf, halfModels } from "../../helpers/half-models.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "half-models-"));
});
afterAll(async () => {
  await useBackend("onnxruntime", {});
  await rm(folder, { recursive: true });
});

describe.each(halfModels)("the model $name", (model) => {
  it("computes with the precision float16 what PyTorch does with rounded weights, and with float32 something else", async () => {
    await useBackend("onnxruntime", { precision: "float16" });
    expect(await errorOf(model, folder)).toBeLessThan(1e-5);
    await useBackend("onnxruntime", { precision: "float32" });
    expect(await errorOf(model, folder)).toBeGreaterThan(5e-4);
  });
});
