import { describe, expect, it } from "vitest";
import { runCli } from "../helpers/cli.ts";

describe("doctor", () => {
  it("reports Node, memory and every backend", async () => {
    const { code, stdout, stderr } = await runCli(["doctor", "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
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
    if (!tensorflow.works) expect(tensorflow.reason).toMatch(/npm install|npm rebuild/);
    expect(report.advice.length).toBeGreaterThan(0);
  });

  it("says it to people", async () => {
    const { code, stdout } = await runCli(["doctor"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^ {2}wasm +works +4\.22\.0 +matrix product +[\d.]+ GFLOP\/s/m);
    expect(stdout).toContain("What to do");
  });
});
