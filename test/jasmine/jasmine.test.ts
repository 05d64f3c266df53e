import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

// In a process of its own: tfjs-core's tests reset the engine that they share with the backend.
it("tfjs-core's own tests give what the table says", { timeout: 600_000 }, async () => {
  const program = fileURLToPath(new URL("run.js", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program]);
  expect(stdout).toMatch(/ 0 not as in the table$/m);
});
