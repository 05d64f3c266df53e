import { spawnSync } from "node:child_process";
import { defineConfig } from "vitest/config";

/** Tests of what is computed: they run on every backend. All others run once. */
const onEveryBackend = [
  "test/ops/*.test.ts",
  "test/layers/*.test.ts",
  "test/models/{autoencoder,clip-text,clip-vision,siglip-text,swin,swin-pipeline,unet,unet-stages}.test.ts",
  "test/schedulers/ddim.test.ts",
  "test/pipelines/{guidance,pipeline}.test.ts",
];
/** What compares that with docs/accuracy.md in the end, and what stands in for tests that can't run. */
const [afterwards, absent] = ["test/accuracy.test.ts", "test/absent.test.ts"];
const everyFile = { include: ["test/**/*.test.ts"], exclude: [afterwards, absent] };

function onBackend(name: string, others: readonly string[] = []) {
  const include = [...onEveryBackend, ...others];
  return { extends: true as const, test: { name, include, env: { TEST_BACKEND: name } } };
}

/** On another device of ours. Without a GPU, SwiftShader computes on the processor what one would, slowly. */
function onDevice(name: string) {
  const { extends: base, test } = onBackend("onnxruntime");
  return { extends: base, test: { ...test, name, env: { ...test.env, TEST_DEVICE: name }, testTimeout: 300_000 } };
}

/** In place of the tests on a backend or device that need not be there, one that says why they are skipped. */
function orAbsent<Project>(project: Project, name: string, options: { device?: string } = {}) {
  const chosen = `"${options.device ? "onnxruntime" : name}", ${JSON.stringify(options)}`;
  const script = `await (await import("./dist/backends/index.js")).useBackend(${chosen})`;
  const { status, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  if (status === 0) return project;
  const reason = /^\w*Error: (.*)$/m.exec(stderr)?.[1] ?? stderr;
  const env = { TEST_BACKEND: "wasm", TEST_ABSENT: name, TEST_ABSENT_REASON: reason };
  return { extends: true as const, test: { name, include: [absent], env } };
}

const everywhere = [
  {
    extends: true as const,
    test: {
      name: "once",
      include: everyFile.include,
      exclude: [...everyFile.exclude, ...onEveryBackend],
      env: { TEST_BACKEND: "wasm" },
    },
  },
  // What computes where nothing is said: whether it holds on to memory over many pictures too.
  onBackend("onnxruntime", ["test/pipelines/{leaks,serving}.test.ts"]),
  orAbsent(onBackend("tensorflow"), "tensorflow"),
  onBackend("wasm"),
  onBackend("cpu"),
  orAbsent(onDevice("webgpu"), "webgpu", { device: "webgpu" }),
  { extends: true as const, test: { name: "accuracy", include: [afterwards], sequence: { groupOrder: 1 } } },
];

export default defineConfig({
  test: {
    // TEST_BACKEND=cpu npx vitest run: every test on that one, as it is chosen in test/setup.ts
    ...(process.env.TEST_BACKEND ? everyFile : { projects: everywhere }),
    globalSetup: ["test/global-setup.ts"],
    setupFiles: ["test/setup.ts"],
    pool: "forks", // tfjs backends do not survive a second worker thread (tensorflow/tfjs issue 8388)
    testTimeout: 60_000,
    hookTimeout: 60_000, // registering gradients reads 300 files
    reporters: process.env.CI ? ["default", ["json", { outputFile: "out/test-results.json" }]] : ["default"],
  },
});
