import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import * as tf from "@tensorflow/tfjs-core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { useBackend } from "../../../src/backends/index.ts";
import type { OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { probeDevice } from "../../../src/backends/onnxruntime/probe.ts";
import { InputError } from "../../../src/errors.ts";
import { scaledDotProductAttention } from "../../../src/ops/index.ts";
import { root } from "../../helpers/cli.ts";
import { errorOf, halfModels } from "../../helpers/half-models.ts";

afterEach(() => vi.unstubAllEnvs());

describe("a device is tried", () => {
  it("cpu works everywhere", async () => {
    expect(await probeDevice("cpu")).toMatchObject({ device: "cpu", works: true });
  });

  it("webgpu says what is missing where no driver offers a GPU", async () => {
    vi.stubEnv("VK_ICD_FILENAMES", "/no/such/driver.json");
    vi.stubEnv("VK_DRIVER_FILES", "/no/such/driver.json");
    const report = await probeDevice("webgpu");
    if (process.platform !== "linux") return expect(report.device).toBe("webgpu"); // others do not heed these variables
    expect(report).toMatchObject({
      works: false,
      reason: expect.stringMatching(
        /^The device "webgpu" does not work here: .*(no GPU|libvulkan).*"cpu" needs nothing\.$/,
      ),
    });
  });

  it("cuda says how to get its libraries, or works", async () => {
    const report = await probeDevice("cuda");
    if (report.works) return;
    expect(report.reason).toMatch(/^The device "cuda" does not work here: .*"cpu" needs nothing\.$/);
    expect(report.reason).not.toContain("\n");
  });

  it("a driver that crashes takes nobody with it", async () => {
    vi.stubEnv("NODE_OPTIONS", "--import data:text/javascript,process.kill(process.pid,'SIGSEGV')");
    expect(await probeDevice("webgpu")).toEqual({
      device: "webgpu",
      works: false,
      reason:
        'The device "webgpu" does not work here: its driver ended the process that tried it, by SIGSEGV. The device "cpu" needs nothing.',
    });
  });

  it("what can't be had is an InputError, and nothing is printed", () => {
    const script = `
      const { useBackend } = await import(${JSON.stringify(pathToFileURL(join(root, "dist/backends/index.js")).href)});
      await useBackend("onnxruntime", { device: "webgpu" }).catch(({ name, message }) => console.log(name, message));`;
    const env = { ...process.env, VK_ICD_FILENAMES: "/no/such/driver.json", VK_DRIVER_FILES: "/no/such/driver.json" };
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], { cwd: root, env });
    expect(String(stderr)).toBe("");
    if (process.platform === "linux")
      expect(String(stdout)).toMatch(/^InputError The device "webgpu" does not work here/);
  });

  it("and the backend that there is stays where another device is not to be had", async () => {
    vi.stubEnv("NODE_OPTIONS", "--no-such-option");
    await useBackend("onnxruntime", { threads: 1 });
    await expect(useBackend("onnxruntime", { device: "webgpu" })).rejects.toMatchObject({ name: "InputError" });
    await useBackend("onnxruntime", { threads: 1 });
  });
});

describe("on WebGPU", () => {
  it("results stay on the GPU, and may outlive the session that gave them", async ({ skip }) => {
    const report = await probeDevice("webgpu");
    if (!report.works) return skip(report.reason);
    await useBackend("onnxruntime", { device: "webgpu", maxSessions: 1 });
    const backend = tf.backend() as OnnxRuntimeBackend;
    const sum = tf.tidy(() => tf.add(tf.ones([2, 3]), 1));
    await backend.flush([sum]);
    const product = tf.tidy(() => tf.mul(sum, [1, 2, 3])); // its session closes that of the sum
    expect(await product.array()).toEqual([
      [2, 4, 6],
      [2, 4, 6],
    ]);
    tf.dispose([sum, product]);
    expect(await backend.counts()).toMatchObject({ values: 0 });
    expect(await tf.tidy(() => tf.logicalAnd([true, true, false], [true, false, true])).array()).toEqual([1, 0, 0]);
    expect(await tf.tidy(() => tf.add(tf.tensor1d([1, 2, 3], "int32"), tf.scalar(2, "int32"))).array()).toEqual([
      3, 4, 5,
    ]);
  });

  it("float16 is refused where the GPU does not compute in it", async ({ skip }) => {
    const report = await probeDevice("webgpu");
    if (!report.works) return skip(report.reason);
    if (report.float16) return skip("This GPU computes in float16.");
    await expect(useBackend("onnxruntime", { device: "webgpu", precision: "float16" })).rejects.toThrow(
      new InputError(
        'The precision "float16" can\'t be had on the device "webgpu" here: its driver has no arithmetic in float16 (WebGPU\'s ' +
          'feature "shader-f16"). Use the precision "float32", or the device "cpu", where float16 halves the weights.',
      ),
    );
  });

  it("sums of float16 reach what they should", async ({ skip }) => {
    const report = await probeDevice("webgpu");
    if (!report.works) return skip(report.reason);
    if (!report.float16) return skip("This GPU does not compute in float16.");
    await useBackend("onnxruntime", { device: "webgpu", precision: "float16" });
    const ones = (...shape: number[]) => tf.ones(shape);
    const keys = () => ones(1, 9216, 8) as tf.Tensor3D;
    const [product, convolution, attention] = tf.tidy(() => [
      tf.matMul(ones(2, 4096), ones(4096, 2)),
      tf.conv2d(ones(1, 3, 3, 512) as tf.Tensor4D, ones(3, 3, 512, 2) as tf.Tensor4D, 1, "valid"),
      scaledDotProductAttention(ones(1, 1, 8) as tf.Tensor3D, keys(), keys(), { heads: 1 }),
    ]);
    expect((await product.data())[0]! / 4096).toBeCloseTo(1, 2);
    expect((await convolution.data())[0]! / 4608).toBeCloseTo(1, 2);
    expect((await attention.data())[0]!).toBeCloseTo(1, 2);
  });

  it.for(halfModels)("the model $name computes in float16", async (model, { skip }) => {
    const report = await probeDevice("webgpu");
    if (!report.works) return skip(report.reason);
    if (!report.float16) return skip("This GPU does not compute in float16.");
    await useBackend("onnxruntime", { device: "webgpu", precision: "float16" });
    const folder = await mkdtemp(join(tmpdir(), "half-webgpu-"));
    const error = await errorOf(model, folder).finally(() => rm(folder, { recursive: true }));
    expect(error).toBeLessThan(2e-2); // ONNX Runtime adds up in float16 there
    expect(error).toBeGreaterThan(5e-5);
  });
});
