import { afterAll, beforeAll, expect } from "vitest";
import { type BackendName, type BackendOptions, useBackend } from "../src/backends/index.ts";
import { saveFound } from "./helpers/accuracy.ts";

// Every test runs on one backend, chosen from outside, as is the device of ours: TEST_BACKEND=cpu npx vitest run, or
// TEST_BACKEND=onnxruntime TEST_DEVICE=webgpu npx vitest run test/models
const { TEST_BACKEND: backend = "wasm", TEST_DEVICE: device } = process.env;
beforeAll(() => useBackend(backend as BackendName, { device: device as BackendOptions["device"] }));

// vitest takes a process for each file, so what is found is this file's. docs/accuracy.md tells of the processor.
afterAll(() => (device ? undefined : saveFound(backend, expect.getState().testPath!)));
