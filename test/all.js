// `npm run test:all`: every test on every backend that works here, and the result as a table in test/results.md.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";

const backends = process.argv.length > 2 ? process.argv.slice(2) : ["wasm", "onnxruntime", "cpu"];
mkdirSync("out", { recursive: true });

const rows = backends.map((backend) => {
  const file = `out/test-${backend}.json`;
  const started = performance.now();
  const args = ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile=${file}`];
  spawnSync("npx", args, { stdio: "inherit", env: { ...process.env, TEST_BACKEND: backend } });
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(readFileSync(file, "utf8"));
  const minutes = (performance.now() - started) / 60_000;
  return { backend, passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests, minutes };
});

const cells = rows.map(
  ({ backend, passed, failed, skipped, minutes }) =>
    `| \`${backend}\` | ${passed} | ${failed} | ${skipped} | ${minutes.toFixed(1)} min |`,
);
writeFileSync(
  "test/results.md",
  `# All tests on every backend

\`npm run test:all\`, ${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus().length} × ${cpus()[0]?.model}

| backend | passed | failed | skipped | time |
|---|---|---|---|---|
${cells.join("\n")}
`,
);
process.exitCode = rows.some(({ failed }) => failed > 0) ? 1 : 0;
