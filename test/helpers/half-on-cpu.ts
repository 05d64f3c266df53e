import { vi } from "vitest";

// No machine that tests run on has a GPU with float16. So a backend whose device is "webgpu", which records what it would for that,
// is given the processor: ONNX Runtime computes the same graphs there, with float16 where it has it and rounds to it elsewhere.

vi.mock(import("../../src/backends/onnxruntime/probe.ts"), () => ({
  probeDevice: async (device) => ({ device, works: true, float16: true }),
}));

vi.mock(import("../../src/backends/onnxruntime/runtime.ts"), async (original) => {
  const { Runtime } = await original();
  return {
    Runtime: class extends Runtime {
      constructor(options: ConstructorParameters<typeof Runtime>[0]) {
        super({ ...options, device: "cpu" });
      }
    },
  };
});
