// How well the mini model does what it is for: `npm run measure -- --help`. What is drawn is kept, and a measurement that was
// stopped goes on where it was.
import { createHash } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BackendName, useBackend } from "tfjs-diffusion/backends";
import { psnr, rate, reconstruct, type SceneScore, scoreLabels, scoreScenes } from "tfjs-diffusion/evaluation";
import { decodePng, encodePng, generationRecordFrom, type Picture, pictureTexts } from "tfjs-diffusion/image";
import {
  type GenerateOptions,
  generationRecord,
  labelsOver,
  openParts,
  Pipeline,
  type PipelineParts,
  similarityOf,
} from "tfjs-diffusion/pipelines";
import { captionsOf, drawScene, heldOutPrompts, judge, labelsOf, randomScene, type Scene } from "tfjs-diffusion/scenes";

const usage = `npm run measure -- [OPTIONS]

  --model FOLDER          the model (default: weights/mini)
  --output FOLDER         where pictures and results go (default: out/measure)
  --prompts N             held-out prompts to draw (default: 500; 0 leaves them out)
  --steps N, --guidance-scale X, --guidance-rescale X    (default: the model's)
  --sweep "S,S,… G,G,…"   draws the prompts with each number of steps and each guidance scale, and tells which does best
  --batch-size N          pictures that are denoised together (default: 25)
  --scenes N              held-out scenes for the autoencoder and the classifier (default: 400; 0 leaves them out)
  --mascots N             prompts with mascots to draw, for the classifier (default: 50)
  --seed N                of prompts, scenes and noise (default: 20261129); none that the model was trained with
  --backend NAME          (default: onnxruntime)`;

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "weights/mini" },
    output: { type: "string", default: "out/measure" },
    prompts: { type: "string", default: "500" },
    steps: { type: "string" },
    "guidance-scale": { type: "string" },
    "guidance-rescale": { type: "string" },
    sweep: { type: "string" },
    "batch-size": { type: "string", default: "25" },
    scenes: { type: "string", default: "400" },
    mascots: { type: "string", default: "50" },
    seed: { type: "string", default: "20261129" },
    backend: { type: "string", default: "onnxruntime" },
    help: { type: "boolean" },
  },
});
if (values.help) {
  console.log(usage);
  process.exit();
}

const [seed, batchSize] = [Number(values.seed), Number(values["batch-size"])];
const control = new AbortController();
process.once("SIGINT", () => control.abort(new Error("Stopped. The same command goes on from here.")));
const { signal } = control;

await useBackend(values.backend as BackendName);
const parts = await openParts(values.model, { backend: values.backend as BackendName });
const pipeline = new Pipeline(parts);
const { defaults } = parts;

interface Settings {
  steps: number;
  guidanceScale: number;
  guidanceRescale: number;
}

const settings: Settings = {
  steps: Number(values.steps ?? defaults.steps),
  guidanceScale: Number(values["guidance-scale"] ?? defaults.guidanceScale),
  guidanceRescale: Number(values["guidance-rescale"] ?? defaults.guidanceRescale),
};

try {
  await mkdir(values.output, { recursive: true });
  if (values.sweep) await sweep(values.sweep);
  else await measure();
} catch (error) {
  console.error(`\n${(error as Error).message}`);
  process.exitCode = 1;
}

async function measure(): Promise<void> {
  const results: Record<string, unknown> = { model: values.model, seed, ...settings };
  const lines: string[] = [];
  if (Number(values.prompts) > 0) {
    const { score, seconds } = await scorePrompts(Number(values.prompts), settings);
    Object.assign(results, { prompts: Number(values.prompts), seconds, ...score });
    lines.push(...tableOf(score));
  }
  if (Number(values.scenes) > 0) {
    const reconstruction = await measureAutoencoder(heldOutScenes(Number(values.scenes)));
    Object.assign(results, { psnr: reconstruction });
    lines.push("", `Autoencoder on ${values.scenes} held-out scenes: PSNR ${reconstruction.toFixed(2)} dB`);
    if (parts.classifier) {
      const found = await measureClassifier(parts.classifier);
      Object.assign(results, { classifier: found });
      lines.push(...Object.entries(found).map(([what, { all }]) => `Classifier on ${what}: F1 ${all.f1.toFixed(3)}`));
    }
  }
  await writeFile(join(values.output, "measured.json"), `${JSON.stringify(results, null, 1)}\n`);
  await writeFile(join(values.output, "measured.md"), `${lines.join("\n")}\n`);
  console.log(lines.join("\n"));
}

/** Few prompts are enough to see which settings are far off. */
async function sweep(grid: string): Promise<void> {
  const [steps, scales] = grid.split(" ").map((numbers) => numbers.split(",").map(Number));
  const rows: (Settings & { all: number; attributes: Record<string, number> })[] = [];
  for (const guidanceScale of scales!) {
    for (const one of steps!) {
      const choice = { ...settings, steps: one, guidanceScale };
      const { score } = await scorePrompts(Number(values.prompts), choice);
      const attributes = Object.fromEntries(Object.entries(score.all).map(([name, share]) => [name, rate(share)]));
      rows.push({ ...choice, all: attributes.all!, attributes });
      console.log(`\n${one} steps, guidance ${guidanceScale}: ${describe(attributes)}`);
    }
  }
  await writeFile(join(values.output, "sweep.json"), `${JSON.stringify(rows, null, 1)}\n`);
  const best = rows.toSorted((a, b) => b.all - a.all)[0]!;
  console.log(`Best of these: ${best.steps} steps, guidance ${best.guidanceScale}: ${percent(best.all)}`);
}

async function scorePrompts(count: number, chosen: Settings): Promise<{ score: SceneScore; seconds: number }> {
  const asked = heldOutPrompts(count, seed);
  const started = performance.now();
  const pictures = await drawAll(
    "held-out",
    asked.map(({ prompt }) => prompt),
    chosen,
  );
  const seconds = (performance.now() - started) / 1000;
  const judged = pictures.map((picture, i) => {
    show(`judging ${i + 1}/${count}`);
    return { ...asked[i]!, seen: judge(picture) };
  });
  show("");
  return { score: scoreScenes(judged), seconds };
}

/** The pictures of some prompts, each with a seed of its own; those that were drawn before are read. */
async function drawAll(name: string, prompts: readonly string[], chosen: Settings): Promise<Picture[]> {
  const folder = join(values.output, `${name}-${await keyOf(chosen)}`);
  await mkdir(folder, { recursive: true });
  const pictures: Picture[] = [];
  const started = performance.now();
  for (let i = 0; i < prompts.length; i += batchSize) {
    const some = prompts.slice(i, i + batchSize);
    pictures.push(...(await drawSome(some, i, folder, chosen)));
    const left = ((performance.now() - started) / pictures.length / 1000) * (prompts.length - pictures.length);
    show(`drawing ${pictures.length}/${prompts.length}, ${Math.ceil(left)} s left`);
  }
  return pictures;
}

async function drawSome(prompts: string[], first: number, folder: string, chosen: Settings): Promise<Picture[]> {
  const paths = prompts.map((_, i) => join(folder, `${String(first + i).padStart(4, "0")}.png`));
  const kept = await Promise.all(paths.map((path, i) => readKept(path, prompts[i]!)));
  if (kept.every((picture) => picture !== undefined)) return kept;
  const options: GenerateOptions = {
    ...chosen,
    batchSize,
    prompt: prompts,
    seed: seed + first,
    similarityCheck: false,
    signal,
  };
  const result = await pipeline.run(options);
  for (const [i, picture] of result.images.entries()) {
    const texts = pictureTexts({ record: generationRecord(result, i), credit: result.credit });
    await writeFile(paths[i]!, encodePng(picture, texts));
  }
  return result.images;
}

/** A picture that is whole, and of this prompt. */
async function readKept(path: string, prompt: string): Promise<Picture | undefined> {
  try {
    const { picture, texts } = decodePng(await readFile(path), path);
    return generationRecordFrom(texts, path).prompt === prompt ? picture : undefined;
  } catch {
    return undefined;
  }
}

/** Another name for everything that pictures follow from, so that none of other weights is taken for one of these. */
async function keyOf(chosen: Settings): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([seed, values.backend]));
  for (const file of ["unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"]) {
    hash.update(await readFile(join(values.model, `${file}.safetensors`)));
  }
  return `${chosen.steps}-${chosen.guidanceScale}-${chosen.guidanceRescale}-${hash.digest("hex").slice(0, 8)}`;
}

function heldOutScenes(count: number): Scene[] {
  return Array.from({ length: count }, (_, i) => randomScene(seed, i, "held-out"));
}

async function measureAutoencoder(scenes: readonly Scene[]): Promise<number> {
  await parts.autoencoder.load({ signal });
  const pairs: [Picture, Picture][] = [];
  for (const [i, scene] of scenes.entries()) {
    const picture = drawScene(scene, defaults.width, defaults.height);
    pairs.push([picture, await reconstruct(picture, parts.autoencoder.model, signal)]);
    show(`autoencoder ${i + 1}/${scenes.length}`);
  }
  show("");
  return psnr(pairs);
}

/** Of scenes as they are drawn by hand, a part of them with mascots, and of mascots that the model drew. */
async function measureClassifier({ model, processor }: NonNullable<PipelineParts["classifier"]>) {
  const find = async (pictures: readonly Picture[], scenes: readonly Scene[]) => {
    await model.load({ signal });
    const found = await similarityOf(pictures, model.model, processor, {
      signal,
      onProgress: ({ done, total }) => show(`classifier ${done}/${total}`),
    });
    show("");
    return scoreLabels(
      scenes.map((scene, i) => ({
        there: labelsOf(scene),
        found: labelsOver(defaults.similarityThreshold, found[i]!),
      })),
    );
  };
  const scenes = Array.from({ length: Number(values.scenes) }, (_, i) => randomScene(seed, i));
  const drawn = scenes.map((scene) => drawScene(scene, defaults.width, defaults.height));
  const withMascots = Array.from({ length: 20 * Number(values.mascots) }, (_, i) => i)
    .filter((i) => "mascot" in randomScene(seed, i).subject)
    .slice(0, Number(values.mascots));
  const prompts = withMascots.map((i) => captionsOf(randomScene(seed, i), seed, i)[i % 2]!);
  const generated = await drawAll("mascots", prompts, settings);
  return {
    "scenes drawn by hand": await find(drawn, scenes),
    "mascots drawn by the model": await find(
      generated,
      withMascots.map((i) => randomScene(seed, i)),
    ),
  };
}

function tableOf({ all, byLanguage, shuffled }: SceneScore): string[] {
  const names = ["all", "object", "colour", "place", "position", "size", "time", "count"] as const;
  const columns = [all, byLanguage.ja, byLanguage.en, shuffled];
  return [
    "| | all prompts | Japanese | English | shuffled prompts |",
    "|---|---|---|---|---|",
    ...names.map((name) => `| ${name} | ${columns.map((shares) => percent(rate(shares[name]))).join(" | ")} |`),
  ];
}

function describe(attributes: Readonly<Record<string, number>>): string {
  return Object.entries(attributes)
    .map(([name, value]) => `${name} ${percent(value)}`)
    .join(", ");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

/** One line that is written over. */
function show(line: string): void {
  process.stderr.write(`\r${line}\x1b[K`);
}
