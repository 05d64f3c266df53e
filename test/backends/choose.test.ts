import { spawnSync } from "node:child_process";
import { mkdir, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { type BackendName, backendNames, memoryLimit, selfTest, useBackend } from "../../src/backends/index.ts";
import { InputError } from "../../src/errors.ts";
import { root, temporaryFolder } from "../helpers/cli.ts";

const { version } = createRequire(import.meta.url)("onnxruntime-node/package.json") as { version: string };
const versions = { onnxruntime: version, wasm: tf.version_core, cpu: tf.version_core };

describe("backends", () => {
  it.each(["onnxruntime", "wasm", "cpu"] as const)("%s works, from any working directory", async (name) => {
    const folder = await temporaryFolder();
    const script = `
      const { useBackend } = await import(${JSON.stringify(pathToFileURL(join(root, "dist/backends/index.js")).href)});
      console.log(await useBackend("${name}"));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: folder });
    expect([String(stdout), String(stderr)]).toEqual([`${versions[name]}\n`, ""]);
  });

  it("wasm leaves the process without handlers, and whoever has one in charge", async () => {
    const script = `
      process.on("unhandledRejection", (reason) => console.log("heard:", reason.message));
      const { useBackend } = await import("./dist/backends/index.js");
      await useBackend("wasm");
      Promise.reject(new Error("somebody's"));
      setTimeout(() => console.log(process.listenerCount("unhandledRejection"), process.listenerCount("uncaughtException")));`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: root });
    expect([String(stdout), String(stderr)]).toEqual(["heard: somebody's\n1 0\n", ""]);
  });

  it("can be loaded after a model has run on shapes, which it can't while one is loading", async () => {
    const script = `
      const tf = await import("@tensorflow/tfjs-core");
      const { onShapes, useBackend } = await import("./dist/backends/index.js");
      const product = () => onShapes(({ tensor }) => tf.matMul(tensor([2, 3]), tensor([3, 4])).shape.join());
      console.log(product(), tf.getBackend());
      tf.registerBackend("slow", () => new Promise(() => {}));
      void tf.setBackend("slow");
      try { product(); } catch (error) { console.log(error.message); }
      tf.removeBackend("slow");
      await useBackend("wasm");
      console.log((await tf.add(1, 2).data())[0], product(), (await tf.add(3, 4).data())[0], tf.getBackend());`;
    const options = { cwd: root, timeout: 30_000 };
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], options);
    const said = 'tfjs computes nothing while it loads the backend "slow": await that first.';
    expect([String(stdout), String(stderr)]).toEqual([`2,4 null\n${said}\n3 2,4 7 wasm\n`, ""]);
  });

  it("that do not exist are refused", async () => {
    await expect(useBackend("webgl" as BackendName)).rejects.toThrow(InputError);
    await expect(useBackend("toString" as BackendName)).rejects.toThrow(
      /no backend "toString". There are onnxruntime, wasm, cpu/,
    );
  });

  it("that are limited say so", () => {
    expect(memoryLimit("wasm")).toBe(2 ** 32);
    expect(memoryLimit("cpu")).toBe(Number.POSITIVE_INFINITY);
  });

  it.each(["onnxruntime", "wasm", "cpu"] as const)("%s passes the self-test", async (name) => {
    const report = await selfTest(name);
    expect(report).toMatchObject({ name, works: true, version: versions[name] });
    if (report.works) expect(Math.min(report.matMulGflops, report.conv2dGflops)).toBeGreaterThan(0);
  });

  it("that compute wrongly do not pass it", async () => {
    await useBackend("cpu");
    const { kernelFunc } = tf.getKernel("Conv2D", "cpu")!;
    tf.unregisterKernel("Conv2D", "cpu");
    tf.registerKernel({
      kernelName: "Conv2D",
      backendName: "cpu",
      kernelFunc: (call) => tf.add(tf.engine().makeTensorFromTensorInfo(kernelFunc(call) as tf.TensorInfo), 1),
    });
    try {
      expect(await selfTest("cpu")).toMatchObject({
        works: false,
        reason: expect.stringMatching(/convolution comes out wrong/),
      });
    } finally {
      tf.unregisterKernel("Conv2D", "cpu");
      tf.registerKernel({ kernelName: "Conv2D", backendName: "cpu", kernelFunc });
    }
  });
});

/** Runs `importTensorflow` in a folder with such packages, and gives what it returns or says. */
async function importWith(packages: Record<string, string>, { removed = false } = {}): Promise<string> {
  const folder = await temporaryFolder();
  for (const [name, code] of Object.entries(packages)) {
    const path = join(folder, "node_modules", name);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, "package.json"), JSON.stringify({ name, main: "index.cjs" }));
    await writeFile(join(path, "index.cjs"), code);
  }
  await mkdir(join(folder, "node_modules/@tensorflow"), { recursive: true });
  await symlink(join(root, "node_modules/@tensorflow/tfjs-core"), join(folder, "node_modules/@tensorflow/tfjs-core"));
  // The module is copied, so that its imports are looked up from the folder.
  const { readFile } = await import("node:fs/promises");
  await mkdir(join(folder, "backends"));
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
  for (const file of ["errors.js", "backends/tensorflow.js"]) {
    await writeFile(join(folder, file), await readFile(join(root, "dist", file)));
  }
  const script = `
    import util from "node:util";
    if (${removed}) for (const name of ["isNullOrUndefined", "isArray"]) delete util[name];
    const { importTensorflow } = await import("./backends/tensorflow.js");
    console.log(await importTensorflow().catch((error) => error.name + ": " + error.message));`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: folder });
  expect(String(stderr)).toBe("");
  return String(stdout).trim();
}

describe("the backend tensorflow", () => {
  const working = 'exports.version = { "tfjs-node": "4.22.0" };';
  const broken = 'throw new Error("libtensorflow.so.2: cannot open shared object file\\nmore");';

  it("is whichever package is installed", async () => {
    expect(await importWith({ "@tensorflow/tfjs-node": working })).toBe("4.22.0 (@tensorflow/tfjs-node)");
    expect(await importWith({ "@tensorflow/tfjs-node": working, "@tensorflow/tfjs-node-gpu": working })).toBe(
      "4.22.0 (@tensorflow/tfjs-node-gpu)",
    );
    expect(await importWith({ "@tensorflow/tfjs-node": working, "@tensorflow/tfjs-node-gpu": broken })).toBe(
      "4.22.0 (@tensorflow/tfjs-node)",
    );
  });

  it("says how to get it where there is none", async () => {
    expect(await importWith({})).toMatch(
      /^InputError: .* is not installed: "tfjs-diffusion tensorflow-link" adds it, .* \(--gpu for CUDA\)/,
    );
  });

  it.each([
    [
      "libtensorflow_cc.so.2: cannot open shared object file\nmore",
      "the TensorFlow that its addon was built for is gone",
    ],
    ["x.node: undefined symbol: TF_NewStatus", "its addon was built for another version of TensorFlow"],
    ["was compiled against a different Node.js version using NODE_MODULE_VERSION 93.", "built for another Node"],
    ["/a/tfjs_binding.node: invalid ELF header", "its addon was built for another kind of computer"],
    ["/a/tfjs_binding.node: cannot open shared object file", "its addon was built for another kind of computer"],
    ["The Node.js native addon module (tfjs_binding.node) can not be found at path: /a. \nMore", "it has no addon, as"],
    ["something else", "@tensorflow/tfjs-node: something else."],
  ])("says why it does not load, and what to do, in one line: %j", async (message, meaning) => {
    const said = await importWith({ "@tensorflow/tfjs-node": `throw new Error(${JSON.stringify(message)})` });
    expect(said).toMatch(
      /^InputError: .*can't be loaded: @tensorflow\/tfjs-node: .*"tfjs-diffusion tensorflow-link" builds/,
    );
    expect(said).toContain(meaning);
    expect(said).not.toContain("\n");
  });

  it("hears nothing of kernels that a package registered before it failed", async () => {
    const registers = `require("@tensorflow/tfjs-core").registerKernel({ kernelName: "Add", backendName: "tensorflow" });`;
    const packages = { "@tensorflow/tfjs-node-gpu": registers + broken, "@tensorflow/tfjs-node": registers + working };
    expect(await importWith(packages)).toBe("4.22.0 (@tensorflow/tfjs-node)");
  });

  it("names --gpu where the package for CUDA alone is installed", async () => {
    expect(await importWith({ "@tensorflow/tfjs-node-gpu": broken })).toContain(
      '"tfjs-diffusion tensorflow-link --gpu"',
    );
    const both = { "@tensorflow/tfjs-node-gpu": broken, "@tensorflow/tfjs-node": broken };
    expect(await importWith(both)).toContain('"tfjs-diffusion tensorflow-link"');
  });

  it("is given the functions that Node 23 removed, and only then", async () => {
    const asks =
      'const util = require("util"); exports.version = { "tfjs-node": String(util.isNullOrUndefined(null)) + util.isArray([]) };';
    expect(await importWith({ "@tensorflow/tfjs-node": asks }, { removed: true })).toMatch(/^truetrue/);
    const sees =
      'const { isNullOrUndefined } = require("util"); exports.version = { "tfjs-node": isNullOrUndefined.name };';
    const own = await importWith({ "@tensorflow/tfjs-node": sees });
    if ("isNullOrUndefined" in (await import("node:util"))) expect(own).toMatch(/^isNullOrUndefined/);
  });
});

it("names each backend once", () => {
  expect(backendNames).toEqual(["onnxruntime", "wasm", "cpu", "tensorflow"]);
});
