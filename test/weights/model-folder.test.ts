import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ConfigError, InputError } from "../../src/errors.ts";
import { openModelFolder } from "../../src/weights/index.ts";

let base: string;
let folder: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "model-folder-"));
});
beforeEach(async () => {
  folder = await mkdtemp(join(base, "case-"));
});
afterAll(() => rm(base, { recursive: true }));

const writeIndex = (index: unknown) =>
  writeFile(join(folder, "model_index.json"), typeof index === "string" ? index : JSON.stringify(index));

async function refusal(kind: typeof InputError, work: Promise<unknown> | (() => unknown)): Promise<string> {
  const error = await (typeof work === "function" ? Promise.resolve().then(work) : work).catch(
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(kind);
  return (error as Error).message;
}

const likes = {
  _class_name: ["pipeline_likes_base_unet", "MitsuaLikesPipeline"],
  _diffusers_version: "0.31.0",
  denoiser: ["diffusers", "UNet2DConditionModel"],
  text_encoder: ["transformers", "SiglipTextModel"],
  detector: ["pipeline_likes_base_unet", "SwinForImageClassification"],
  feature_extractor: [null, null],
  force_zeros_for_empty_prompt: true,
  sizes: [[768, 768]],
};

test("components are found by their class, whatever they are called; the rest are settings", async () => {
  await writeIndex(likes);
  for (const name of ["denoiser", "text_encoder", "detector"]) await mkdir(join(folder, name));
  await writeFile(join(folder, "denoiser", "config.json"), '{"in_channels":8}');
  const model = await openModelFolder(folder);
  expect(model.className).toBe("MitsuaLikesPipeline");
  expect(model.module).toBe("pipeline_likes_base_unet");
  expect(model.components).toEqual([
    { name: "denoiser", library: "diffusers", className: "UNet2DConditionModel", folder: join(folder, "denoiser") },
    {
      name: "text_encoder",
      library: "transformers",
      className: "SiglipTextModel",
      folder: join(folder, "text_encoder"),
    },
    {
      name: "detector",
      library: "pipeline_likes_base_unet",
      className: "SwinForImageClassification",
      folder: join(folder, "detector"),
    },
  ]);
  expect(model.settings).toEqual({
    _diffusers_version: "0.31.0",
    force_zeros_for_empty_prompt: true,
    sizes: [[768, 768]],
  });
  const unet = model.require("UNet2DConditionModel");
  expect(await model.readJson(unet, "config.json")).toEqual({ in_channels: 8 });
  expect(await refusal(InputError, model.readJson(unet, "none.json"))).toBe(
    `There is no ${folder}/denoiser/none.json.`,
  );
  expect(model.find("CLIPTextModel", "SiglipTextModel")?.name).toBe("text_encoder");
  expect(model.find("AutoencoderKL")).toBeUndefined();
  expect(await refusal(InputError, () => model.require("AutoencoderKL", "AsymmetricAutoencoderKL"))).toBe(
    `${folder} has no component of class AutoencoderKL or AsymmetricAutoencoderKL. It has denoiser (UNet2DConditionModel), ` +
      "text_encoder (SiglipTextModel), detector (SwinForImageClassification).",
  );
});

test("a class of diffusers' own is a string; a missing folder is named when the component is wanted", async () => {
  await writeIndex({
    _class_name: "StableDiffusionPipeline",
    vae: ["diffusers", "AutoencoderKL"],
    safety_checker: ["a", "B"],
  });
  await mkdir(join(folder, "vae"));
  const model = await openModelFolder(folder);
  expect(model.className).toBe("StableDiffusionPipeline");
  expect(model.module).toBeUndefined();
  expect(model.find("AutoencoderKL")?.name).toBe("vae");
  expect(await refusal(InputError, () => model.find("B"))).toBe(
    `${folder}/model_index.json names a component "safety_checker" (B), but there is no folder ${folder}/safety_checker. Get the missing folder.`,
  );
});

test("hostile indexes are refused or harmless", async () => {
  const ok = '"_class_name":"P"';
  const cases: [string, string][] = [
    ["[]", "is not a JSON object."],
    ["null", "is not a JSON object."],
    ["{}", "_class_name is neither the name of a class nor [module, class]."],
    ['{"_class_name":["a"]}', "_class_name is neither"],
    ['{"_class_name":[null,"a"]}', "_class_name is neither"],
    [`{${ok},"a":["diffusers",null]}`, 'component "a" has a library without a class'],
    [`{${ok},"../a":["diffusers","A"]}`, 'component "../a" can\'t be the name of a folder'],
    [`{${ok},"..":["diffusers","A"]}`, 'component ".." can\'t be the name of a folder'],
    [`{${ok},"/etc":["diffusers","A"]}`, "can't be the name of a folder"],
    [`{${ok},"":["diffusers","A"]}`, "can't be the name of a folder"],
  ];
  for (const [text, message] of cases) {
    await writeIndex(text);
    expect(await refusal(ConfigError, openModelFolder(folder))).toContain(message);
  }
  await writeIndex("{");
  expect(await refusal(InputError, openModelFolder(folder))).toContain(`${folder}/model_index.json is not JSON`);
  await writeIndex(`{${ok},"__proto__":{"polluted":true},"constructor":["x","Y"]}`);
  const model = await openModelFolder(folder);
  expect(Object.keys(model.settings)).toEqual(["__proto__"]);
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  expect(model.components.map(({ name }) => name)).toEqual(["constructor"]);
});

test("a folder that holds no pipeline is told so, with what it holds", async () => {
  await writeFile(join(folder, "config.json"), "{}");
  expect(await refusal(InputError, openModelFolder(folder))).toBe(
    `${folder} is not the folder of a diffusers model: it has no model_index.json. It has "config.json".`,
  );
  expect(await refusal(InputError, openModelFolder(join(folder, "none")))).toBe(`There is no ${folder}/none.`);
  await writeFile(join(folder, "model_index.json"), " ".repeat(33 * 2 ** 20));
  expect(await refusal(InputError, openModelFolder(folder))).toContain(
    "has 34603008 bytes; a file of this kind has at most",
  );
});
