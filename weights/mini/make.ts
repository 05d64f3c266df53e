// Puts this folder together of what was trained: `npm run scripts && node out/weights/mini/make.js [TRAINED]`. Weights become float16.
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeSafetensors, fromFloat32, openWeights, type StoredTensor, toFloat32 } from "tfjs-diffusion/weights";

const [trained = "out/mini", destination = "weights/mini"] = process.argv.slice(2);

/** The most that all weights may have together: they are in every clone and every package. */
const mostBytes = 23_000_000;

/** Where the training of each component has left it. */
const components = {
  vae: "vae-decoder/vae",
  text_encoder: "text/text_encoder",
  image_encoder: "image/image_encoder",
  unet: "unet-4/unet",
  character_detector: "classifier/character_detector",
};

let total = 0;
for (const [name, from] of Object.entries(components)) {
  const [source, target] = [join(trained, from), join(destination, name)];
  const config = JSON.parse(await readFile(join(source, "config.json"), "utf8"));
  const file = "_class_name" in config ? "diffusion_pytorch_model.safetensors" : "model.safetensors";
  await writeFile(join(target, "config.json"), `${JSON.stringify(config, null, 2)}\n`);
  await writeFile(join(target, file), encodeSafetensors(await halved(source), { format: "pt" }));
  const { size } = await stat(join(target, file));
  console.log(`${join(target, file)}: ${size.toLocaleString("en")} bytes`);
  total += size;
}
console.log(`all: ${total.toLocaleString("en")} bytes`);
if (total > mostBytes) throw new Error(`That is more than ${mostBytes.toLocaleString("en")}: make a model smaller.`);

async function halved(folder: string): Promise<Record<string, StoredTensor>> {
  const source = await openWeights(folder);
  const tensors: Record<string, StoredTensor> = {};
  for (const [name, { dtype, shape }] of source.entries) {
    const numbers = toFloat32(await source.read(name), dtype);
    tensors[name] = { dtype: "F16", shape, bytes: fromFloat32(numbers, "F16") };
  }
  await source.close();
  return tensors;
}
