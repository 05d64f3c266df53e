import { beforeAll } from "vitest";
import { type BackendName, useBackend } from "../src/backends/index.ts";

// Every test runs on one backend, chosen from outside: TEST_BACKEND=cpu npx vitest run
beforeAll(() => useBackend((process.env.TEST_BACKEND ?? "wasm") as BackendName));
