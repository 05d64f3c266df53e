import { expect, test } from "vitest";
import { blockSize } from "../../../src/backends/onnxruntime/block-size.ts";

// It names operators that ONNX Runtime does not promise to keep: another version may lack them, and would be much slower.
test("the processor's block is found, and at once when asked again", () => {
  expect(process.arch === "x64" ? [8, 16] : [1, 8, 16]).toContain(blockSize());
  const begin = performance.now();
  blockSize();
  expect(performance.now() - begin).toBeLessThan(1);
});
