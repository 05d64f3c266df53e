// Full-size random weights for measuring, from a preset (`mitsua-likes`, `sdxl`, …) or a folder of configurations:
//
//   npm run scripts && node out/bench/generate-weights.js PRESET|FOLDER DEST [--dtype F32|F16|BF16]
//
// The weights are drawn so that activations keep their size: normal with variance 1 / inputs, gains 1, biases 0.
import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { presets } from "../src/inspect/systems.ts";
import { type Model, modelFrom } from "../src/models/model-from.ts";
import { openModelFolder } from "../src/weights/index.ts";
import { type Stored, writeRandomWeights } from "./random-weights.ts";

/** As diffusers and transformers name the file. */
function weightsName(library: string): string {
  return library === "diffusers" ? "diffusion_pytorch_model.safetensors" : "model.safetensors";
}

/** Python's classes, by ours. */
const pythonClasses: Record<string, [library: string, className: string]> = {
  UNet: ["diffusers", "UNet2DConditionModel"],
  Autoencoder: ["diffusers", "AutoencoderKL"],
  SiglipTextModel: ["transformers", "SiglipTextModel"],
  ClipTextModel: ["transformers", "CLIPTextModel"],
  SwinForImageClassification: ["transformers", "SwinForImageClassification"],
};

async function generate(model: Model, path: string, dtype: Stored): Promise<void> {
  await writeRandomWeights(model, path, dtype);
  console.log(path);
}

async function generatePreset(name: string, dest: string, dtype: Stored): Promise<void> {
  const index: Record<string, unknown> = { _class_name: "StableDiffusionPipeline" };
  for (const [component, model] of Object.entries(presets[name]!().models)) {
    const [library, className] = pythonClasses[model.constructor.name]!;
    index[component] = [library, className];
    await generate(model, join(dest, component, weightsName(library)), dtype);
  }
  await writeFile(join(dest, "model_index.json"), JSON.stringify(index, undefined, 2));
}

async function generateFolder(source: string, dest: string, dtype: Stored): Promise<void> {
  const { components } = await openModelFolder(source);
  for (const { name, library, className, folder } of components) {
    const path = join(folder, "config.json");
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text === undefined) continue; // a tokenizer or a scheduler
    await generate(modelFrom(className, JSON.parse(text), path), join(dest, name, weightsName(library)), dtype);
    await copyFile(path, join(dest, name, "config.json"));
  }
  await copyFile(join(source, "model_index.json"), join(dest, "model_index.json"));
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dtype: { type: "string", default: "F32" } },
});
const [source, dest] = positionals;
if (!source || !dest) throw new Error("generate-weights PRESET|FOLDER DEST [--dtype F32|F16|BF16]");
const dtype = values.dtype as Stored;
if (Object.hasOwn(presets, source)) await generatePreset(source, dest, dtype);
else await generateFolder(source, dest, dtype);
