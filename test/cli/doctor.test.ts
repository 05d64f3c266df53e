import { describe, expect, it } from "vitest";
import { runCli } from "../helpers/cli.ts";

describe("doctor", () => {
  it("reports Node, memory and every backend", async () => {
    const { code, stdout, stderr } = await runCli(["doctor", "--json"]);
    expect([code, withoutTensorflows(stderr)]).toEqual([0, ""]);
    const report = JSON.parse(stdout);
    expect(report).toMatchObject({ node: process.versions.node, cores: expect.any(Number) });
    expect(report.memory.free).toBeLessThanOrEqual(report.memory.total);
    const [onnxruntime, wasm, cpu, tensorflow] = report.backends;
    for (const backend of [onnxruntime, wasm, cpu]) {
      expect(backend).toMatchObject({ works: true, version: backend === onnxruntime ? "1.30.0" : "4.22.0" });
      expect(backend.matMulGflops).toBeGreaterThan(0);
      expect(backend.conv2dGflops).toBeGreaterThan(0);
    }
    expect(wasm.memoryLimit).toBe(2 ** 32);
    if (tensorflow.works) {
      expect(report.tensorflow).toEqual({
        version: expect.stringMatching(/^2\.\d+\.\d+/),
        path: expect.stringMatching(/libtensorflow/),
        seesGpu: expect.any(Boolean),
      });
    } else {
      expect(report.tensorflow).toBeNull();
      expect(tensorflow.reason).toContain("tfjs-diffusion tensorflow-link");
    }
    const [processor, webgpu, cuda] = report.devices;
    expect(processor).toMatchObject({ device: "cpu", works: true });
    for (const [device, found] of Object.entries({ webgpu, cuda })) {
      expect(found).toEqual({
        device,
        works: found.works,
        ...(found.works
          ? { float16: expect.any(Boolean) }
          : { reason: expect.stringContaining(`The device "${device}"`) }),
      });
    }
    expect(report.advice.length).toBeGreaterThan(0);
  });

  it("says it to people", async () => {
    const { code, stdout } = await runCli(["doctor"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}wasm +works +4\.22\.0 +matrix product +[\d.]+ GFLOP\/s/m);
    expect(stdout).toContain("What to do");
  });

  it("outlives a driver that crashes, and says so", async () => {
    const crash = `if (process.argv[1].endsWith("probe-process.js")) process.kill(process.pid, "SIGSEGV")`;
    const NODE_OPTIONS = `--import data:text/javascript,${encodeURIComponent(crash)}`;
    const { code, stdout } = await runCli(["doctor"], { env: { NODE_OPTIONS } });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}webgpu +does not work/m);
    expect(stdout).toMatch(/^ {2}webgpu: .*its driver ended the process that tried it, by SIGSEGV/m);
  });
});

/** TensorFlow 2.21 says this before it reads which of its lines are wanted. */
function withoutTensorflows(text: string): string {
  return text.replace(/^(WARNING: All log messages before absl::InitializeLog\(\)|I0000 .*oneDNN).*\n/gm, "");
}
