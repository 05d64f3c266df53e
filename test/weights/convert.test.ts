import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "../../src/errors.ts";
import {
  type ConvertProgress,
  convertFolder,
  decodeSafetensors,
  encodeSafetensors,
  fromFloat32,
  type StoredTensor,
} from "../../src/weights/index.ts";
import { compileSources } from "../helpers/compiled.ts";
import { expectedPath } from "../helpers/expected.ts";

let base: string;
let source: string;
let dest: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "convert-"));
});
beforeEach(async () => {
  const folder = await mkdtemp(join(base, "case-"));
  source = join(folder, "source");
  dest = join(folder, "dest");
  await makePipeline(source);
});
afterAll(() => rm(base, { recursive: true }));

/** A pipeline's folder with everything that converting has to change, and much that it has not. */
async function makePipeline(folder: string): Promise<void> {
  const files: Record<string, string | Uint8Array> = {
    "model_index.json": JSON.stringify({
      _class_name: ["pipeline_custom", "CustomPipeline"],
      vae: ["diffusers", "AutoencoderKL"],
      classifier: ["timm", "SwinForImageClassification"],
      text_encoder: ["transformers", "SiglipTextModel"],
      tokenizer: ["transformers", "SiglipTokenizer"],
      scheduler: ["diffusers", "DDIMScheduler"],
      feature_extractor: [null, null],
    }),
    "README.md": "# 絵\r\n",
    LICENSE: "free",
    "pipeline_custom.py": "import os",
    ".gitattributes": "",
    "whole.ckpt": "PK",
    "assets/picture.png": "",
    "vae/config.json": '{ "a":  1 }',
    "vae/diffusion_pytorch_model.fp16.safetensors": "never opened",
    "vae/diffusion_pytorch_model.bin": "",
    "classifier/config.json": "{}",
    "text_encoder/config.json": "{}",
    "tokenizer/spiece.model": new Uint8Array([0, 255, 10]),
    "tokenizer/tokenizer_config.json": "{}",
    "scheduler/scheduler_config.json": "{}",
  };
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(folder, path, ".."), { recursive: true });
    await writeFile(join(folder, path), content);
  }
  await cp(
    expectedPath("weights/old_attention/diffusion_pytorch_model.safetensors"),
    join(folder, "vae/diffusion_pytorch_model.safetensors"),
  );
  await cp(expectedPath("weights/swin/old_timm.safetensors"), join(folder, "classifier/model.safetensors"));
  await cp(expectedPath("weights/sharded"), join(folder, "text_encoder"), { recursive: true });
}

const read = async (path: string) => decodeSafetensors(await readFile(path), path);

async function filesIn(folder: string): Promise<string[]> {
  const files = await readdir(folder, { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath, file.name).slice(folder.length + 1))
    .sort();
}

/** Every file and its content. */
async function contents(folder: string): Promise<Record<string, string>> {
  const files = await filesIn(folder);
  return Object.fromEntries(
    await Promise.all(files.map(async (file) => [file, await readFile(join(folder, file), "latin1")])),
  );
}

const converted = [
  "LICENSE",
  "README.md",
  "classifier/config.json",
  "classifier/model.safetensors",
  "conversion.json",
  "model_index.json",
  "scheduler/scheduler_config.json",
  "text_encoder/config.json",
  "text_encoder/model.safetensors",
  "tokenizer/spiece.model",
  "tokenizer/tokenizer_config.json",
  "vae/config.json",
  "vae/diffusion_pytorch_model.safetensors",
];

describe("convertFolder", () => {
  test("gives weights today's names, merges shards, copies small files, leaves out the rest", async () => {
    const report = await convertFolder(source, dest, { dtype: "keep" });
    expect(await filesIn(dest)).toEqual(converted);
    const today: [string, string][] = [
      ["vae/diffusion_pytorch_model", "old_attention/today"],
      ["classifier/model", "swin/transformers"],
      ["text_encoder/model", "sharded_whole"],
    ];
    for (const [file, wanted] of today) {
      const actual = await read(join(dest, `${file}.safetensors`));
      const expected = await read(expectedPath(`weights/${wanted}.safetensors`));
      expect([...actual].sort()).toEqual([...expected].sort());
    }
    for (const file of ["README.md", "vae/config.json", "tokenizer/spiece.model", "model_index.json"]) {
      expect(await readFile(join(dest, file))).toEqual(await readFile(join(source, file)));
    }
    expect(report.leftOut).toEqual([
      "assets/",
      ".gitattributes",
      "pipeline_custom.py",
      "whole.ckpt",
      "vae/diffusion_pytorch_model.bin",
      "vae/diffusion_pytorch_model.fp16.safetensors",
    ]);
  });

  test("gives a variant's weights the usual name", async () => {
    const vae = join(source, "vae/diffusion_pytorch_model");
    await rename(`${vae}.safetensors`, `${vae}.fp16.safetensors`);
    await convertFolder(source, dest, { dtype: "keep" });
    expect(await filesIn(dest)).toEqual(converted);
  });

  test("reports every file's size and sha256 and every tensor's shape and dtypes, and keeps the report", async () => {
    const report = await convertFolder(source, dest, { dtype: "float16" });
    expect(JSON.parse(await readFile(join(dest, "conversion.json"), "utf8"))).toEqual(report);
    expect(report).toMatchObject({ dtype: "float16", unfinished: [] });
    expect(report.files.map(({ path }) => path).sort()).toEqual(converted.filter((path) => path !== "conversion.json"));
    for (const { path, bytes, sha256 } of report.files) {
      const content = await readFile(join(dest, path));
      expect(bytes).toBe(content.length);
      expect(sha256).toBe(createHash("sha256").update(content).digest("hex"));
    }
    const tensors = report.files.find(({ path }) => path.startsWith("classifier/model"))!.tensors!;
    expect(tensors).toContainEqual({ name: "classifier.bias", shape: [3], dtype: "F16", sourceDtype: "F32" });
    const index = "swin.encoder.layers.0.blocks.0.attention.self.relative_position_index";
    expect(tensors).toContainEqual({ name: index, shape: [16, 16], dtype: "I64", sourceDtype: "I64" });
    const shards = report.files.find(({ path }) => path === "text_encoder/model.safetensors")!.sources;
    expect(shards.map(({ path }) => path)).toEqual([
      "text_encoder/model.safetensors.index.json",
      "text_encoder/model-00001-of-00002.safetensors",
      "text_encoder/model-00002-of-00002.safetensors",
    ]);
  });

  const weights = (dtype: StoredTensor["dtype"], ...values: number[]): StoredTensor => ({
    dtype,
    shape: [values.length],
    bytes:
      dtype === "F64" ? new Uint8Array(new Float64Array(values).buffer) : fromFloat32(new Float32Array(values), dtype),
  });
  const setVae = (tensors: Record<string, StoredTensor>) =>
    writeFile(join(source, "vae/diffusion_pytorch_model.safetensors"), encodeSafetensors(tensors));

  test("stores floats in the chosen dtype and leaves whole numbers alone", async () => {
    const stored = {
      a: weights("F64", 0.1),
      b: weights("BF16", 0.1),
      c: weights("F16", 6e-8),
      d: weights("F32", 1e-7),
      e: weights("I64", 70000),
      f: weights("U8", 7),
    };
    await setVae(stored);
    await convertFolder(source, dest, { dtype: "float32" });
    await convertFolder(source, `${dest}16`, { dtype: "float16" });
    await convertFolder(source, `${dest}keep`, { dtype: "keep" });
    const file = "vae/diffusion_pytorch_model.safetensors";
    const in32 = await read(join(dest, file));
    expect(in32.get("a")).toEqual(weights("F32", 0.1));
    expect(in32.get("b")).toEqual(weights("F32", 0.10009765625));
    expect(in32.get("e")).toEqual(stored.e);
    const in16 = await read(join(`${dest}16`, file));
    expect(in16.get("a")).toEqual(weights("F16", 0.1));
    expect(in16.get("d")).toEqual(weights("F16", 1e-7));
    expect(in16.get("f")).toEqual(stored.f);
    expect([...(await read(join(`${dest}keep`, file)))].sort()).toEqual(Object.entries(stored));
  });

  test.each<[string, StoredTensor, "float32" | "float16" | "keep", string]>([
    [
      "a weight beyond halves",
      weights("F32", 1, -70000),
      "float16",
      'tensor "w" has a value of magnitude 70000, beyond the largest of F16. Convert with float32 or keep.',
    ],
    [
      "a double beyond float32",
      weights("F64", 1e200),
      "float32",
      'tensor "w" has a value of magnitude Infinity, beyond the largest of F32.',
    ],
    ["NaN", weights("F32", Number.NaN), "float16", 'tensor "w" has values that are infinite or not numbers.'],
    [
      "infinity that is kept",
      weights("BF16", Number.POSITIVE_INFINITY),
      "keep",
      'tensor "w" has values that are infinite',
    ],
  ])("refuses %s by the tensor's name and leaves no such file", async (_, tensor, dtype, message) => {
    await setVae({ w: tensor });
    await expect(convertFolder(source, dest, { dtype })).rejects.toThrow(
      `${source}/vae/diffusion_pytorch_model.safetensors: ${message}`,
    );
    expect(await readdir(join(dest, "vae"))).toEqual(["config.json"]);
    if (dtype === "keep") return;
    expect(await convertFolder(source, dest, { dtype: "keep" }).catch(({ message }) => message)).toContain(
      "with another dtype",
    );
  });

  test("a double beyond float32 is fine where it is kept", async () => {
    await setVae({ w: weights("F64", 1e200) });
    await convertFolder(source, dest, { dtype: "keep" });
  });

  test("finds what is wrong with any header before it writes a byte", async () => {
    await writeFile(join(source, "vae/diffusion_pytorch_model.safetensors"), "short");
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(
      "can't be read as safetensors: it has only 5 bytes.",
    );
    await expect(stat(dest)).rejects.toThrow("ENOENT");
  });

  test("names a missing component, missing weights, and pickles", async () => {
    await rm(join(source, "classifier/model.safetensors"));
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(
      `${source}/classifier has no weights that can be read: `,
    );
    await writeFile(join(source, "classifier/pytorch_model.bin"), "");
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(
      '"pytorch_model.bin" is a PyTorch pickle, which is not read yet.',
    );
    await rm(join(source, "classifier"), { recursive: true });
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(
      `model_index.json names a component "classifier" (SwinForImageClassification), but there is no folder ${source}/classifier.`,
    );
  });

  test("follows no link out of the source, but the hub's cache is one place", async () => {
    await writeFile(join(base, "secret.json"), "{}");
    await symlink(join(base, "secret.json"), join(source, "vae/link.json"));
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(
      `${source}/vae/link.json is a link to ${base}/secret.json, outside the folder. Put a copy in its place.`,
    );
    await rm(join(source, "vae/link.json"));
    await rename(join(source, "vae"), join(base, "elsewhere"));
    await symlink(join(base, "elsewhere"), join(source, "vae"));
    await expect(convertFolder(source, dest, { dtype: "keep" })).rejects.toThrow(`${source}/vae is a link to`);

    const cache = join(source, "..", "models--a--b");
    const snapshot = join(cache, "snapshots", "0123");
    await rm(join(source, "vae"));
    await rename(join(base, "elsewhere"), join(source, "vae"));
    for (const [i, file] of (await filesIn(source)).entries()) {
      await mkdir(join(snapshot, file, ".."), { recursive: true });
      await mkdir(join(cache, "blobs"), { recursive: true });
      await cp(join(source, file), join(cache, "blobs", String(i)));
      await symlink(join(cache, "blobs", String(i)), join(snapshot, file));
    }
    await convertFolder(snapshot, dest, { dtype: "keep" });
    expect(await filesIn(dest)).toEqual(converted);
    expect((await lstat(join(dest, "vae/config.json"))).isSymbolicLink()).toBe(false);
  });

  test("overwrites nothing that it did not make", async () => {
    const refusal = async (to: string, message: string) => {
      const error = await convertFolder(source, to, { dtype: "keep" }).catch((error: unknown) => error);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toContain(message);
    };
    await refusal(source, `${source} is inside ${source}.`);
    await refusal(join(source, "vae", "new", "folder"), `is inside ${source}. Choose a folder outside of it.`);
    await symlink(source, join(source, "..", "link"));
    await refusal(join(source, "..", "link", "new"), `is inside ${source}.`);
    await refusal(join(source, ".."), 'has files that no conversion made ("link", "source").');
    await writeFile(dest, "");
    await refusal(dest, `${dest} can't be`);
    await rm(dest);
    await mkdir(dest);
    await writeFile(join(dest, "mine.txt"), "");
    await refusal(
      dest,
      `${dest} has files that no conversion made ("mine.txt"). Choose a folder that is empty or new.`,
    );
    await writeFile(join(dest, "conversion.json"), '{"format":"other"}');
    await refusal(dest, `${dest}/conversion.json is not the report of a conversion.`);
    await rm(dest, { recursive: true });
    await convertFolder(source, dest, { dtype: "keep" });
    await expect(convertFolder(source, dest, { dtype: "float16" })).rejects.toThrow("with another dtype (keep)");
    await rm(join(source, "LICENSE"));
    await refusal(dest, `${dest} holds a conversion of another model`);
    expect(await filesIn(dest)).toEqual(converted);
  });

  test("called again, keeps what is good and makes anew what is not, or whose source has changed", async () => {
    await convertFolder(source, dest, { dtype: "keep" });
    const before = await contents(dest);
    const times = async () =>
      Object.fromEntries(await Promise.all(converted.map(async (file) => [file, (await stat(join(dest, file))).ino])));
    const first = await times();
    await writeFile(join(dest, "vae/config.json"), "{}");
    await rm(join(dest, "tokenizer/spiece.model"));
    const broken = await readFile(join(dest, "text_encoder/model.safetensors"));
    broken[broken.length - 1]! ^= 1;
    await writeFile(join(dest, "text_encoder/model.safetensors"), broken);
    await utimes(join(source, "classifier/model.safetensors"), 1e9, 1e9);
    await convertFolder(source, dest, { dtype: "keep" });
    const after = await contents(dest);
    const { "conversion.json": _, ...rest } = before;
    expect(after).toMatchObject(rest);
    const now = await times();
    const made = converted.filter((file) => now[file] !== first[file]);
    expect(made).toEqual(expect.arrayContaining(["classifier/model.safetensors", "conversion.json"]));
    expect(made).not.toContain("vae/diffusion_pytorch_model.safetensors");
  });

  test("tells its progress, from nothing to all", async () => {
    const steps: ConvertProgress[] = [];
    await convertFolder(source, dest, { dtype: "float32", onProgress: (step) => steps.push(step) });
    expect(steps[0]).toMatchObject({ done: 0, secondsLeft: undefined });
    expect(steps.every(({ done }, i) => i === 0 || done >= steps[i - 1]!.done)).toBe(true);
    expect(steps.at(-1)).toMatchObject({ done: steps[0]!.total, secondsLeft: 0 });
    expect(new Set(steps.map(({ file }) => file)).size).toBe(converted.length - 1);
  });

  test("stops when it is aborted, leaves nothing half-written, and goes on later", async () => {
    const control = new AbortController();
    const onProgress = ({ file, done, total }: ConvertProgress) => {
      if (file.startsWith("classifier/model") && done > total / 3) control.abort(new Error("enough"));
    };
    await expect(convertFolder(source, dest, { dtype: "keep", signal: control.signal, onProgress })).rejects.toThrow(
      "enough",
    );
    expect((await filesIn(dest)).filter((file) => file.includes(".partial"))).toEqual([]);
    await convertFolder(source, dest, { dtype: "keep" });
    expect(await filesIn(dest)).toEqual(converted);
  });
});

describe.skipIf(process.platform === "win32")("in a process of its own", () => {
  let compiled: Awaited<ReturnType<typeof compileSources>>;
  beforeAll(async () => {
    compiled = await compileSources();
  });
  afterAll(() => compiled.remove());

  /** Converts in a process of its own, which says how far it is. */
  function start({ shell = "" } = {}): ChildProcess {
    const script = `
      import { convertFolder } from ${JSON.stringify(join(compiled.folder, "weights/convert.js"))};
      const onProgress = ({ done, total }) => process.stdout.write(done / total + "\\n");
      await convertFolder(${JSON.stringify(source)}, ${JSON.stringify(dest)}, { dtype: "float16", onProgress })
        .catch(({ name, message }) => console.log(name + ": " + message));`;
    const command = `${shell} exec "$0" --input-type=module -e "$1"`;
    return spawn("sh", ["-c", command, process.execPath, script], { stdio: ["ignore", "pipe", "inherit"] });
  }

  /** Kills the process as soon as it has come so far. Whether it had not yet ended. */
  async function killAt(share: number): Promise<boolean> {
    const child = start();
    child.stdout!.on("data", (text: Buffer) => {
      if (Number(text.toString().trim().split("\n").at(-1)) >= share) child.kill("SIGKILL");
    });
    const signal = await new Promise((resolve) => child.on("exit", (_code, signal) => resolve(signal)));
    return signal === "SIGKILL";
  }

  test("a disk that takes no more leaves no half-written file, and is named", async () => {
    const child = start({ shell: "ulimit -f 64;" }); // files of at most 32 or 64 kB
    let said = "";
    child.stdout!.on("data", (text: Buffer) => (said += text));
    await new Promise((resolve) => child.on("exit", resolve));
    expect(said).toMatch(/InputError: .*\.safetensors can't be written: its disk can't hold a file of this size\./);
    const files = await filesIn(dest);
    expect(files).toContain("conversion.json");
    expect(files.filter((file) => file.includes(".partial"))).toEqual([]);
    await convertFolder(source, dest, { dtype: "float16" });
    expect(await filesIn(dest)).toEqual(converted);
  });

  test("kill -9 at any time leaves no half-written file, and the next run ends as an undisturbed one", {
    timeout: 120_000,
  }, async () => {
    const size = 6 * 2 ** 20;
    const values = Float32Array.from({ length: size }, (_, i) => (i % 1000) / 1000);
    const big: StoredTensor = { dtype: "F32", shape: [size], bytes: fromFloat32(values, "F32") };
    await writeFile(join(source, "vae/diffusion_pytorch_model.safetensors"), encodeSafetensors({ a: big, b: big }));
    const undisturbed = `${dest}-undisturbed`;
    await convertFolder(source, undisturbed, { dtype: "float16" });
    const wanted = await contents(undisturbed);

    let kills = 0;
    for (const share of [0, 0.001, 0.1, 0.3, 0.45, 0.6, 0.9]) {
      if (await killAt(share)) kills++;
      for (const [file, content] of Object.entries(await contents(dest).catch(() => ({})))) {
        if (/\.partial$|conversion\.json$/.test(file)) continue;
        expect(content === wanted[file], `${file} after a kill at ${share}`).toBe(true);
      }
    }
    expect(kills).toBeGreaterThanOrEqual(4);
    await convertFolder(source, dest, { dtype: "float16" });
    const ended = await contents(dest);
    expect(Object.keys(ended)).toEqual(Object.keys(wanted));
    for (const file of Object.keys(wanted)) expect(ended[file] === wanted[file], file).toBe(true);
  });
});
