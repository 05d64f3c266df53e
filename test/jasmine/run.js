// Runs tfjs-core's own tests on the ONNX Runtime backend: npm run test:jasmine [-- --write | -- part of a file or name]
// It fails where a test fails that the table does not name, or passes that it names; --write writes the table.
import { fork } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { bundle } from "./bundle.js";
import { differences, markdown, passing, tableOf } from "./table.js";

const place = (/** @type {string} */ path) => new URL(path, import.meta.url);
const json = (/** @type {string} */ path) => JSON.parse(readFileSync(place(path), "utf8"));

const options = process.argv.slice(2);
const isWriting = options.includes("--write");
const parts = options.filter((option) => option !== "--write");

const begin = performance.now();
const specs = await run(await bundle(), parts);
const seconds = ((performance.now() - begin) / 1000).toFixed(0);

/** @type {import("./table.js").Table} */
const known = json("results.json");
if (isWriting) {
  const table = tableOf(specs, known);
  if (passing(specs, table) < 0.95) throw new Error("Less than 95 % of the tests pass: that is no table to keep.");
  writeFileSync(place("results.json"), `${JSON.stringify(table, null, 1)}\n`);
  const { dependencies } = json("../../package.json");
  const names = ["@tensorflow/tfjs-core", "onnxruntime-node"];
  const versions = Object.fromEntries(names.map((name) => [name, dependencies[name]]));
  writeFileSync(place("results.md"), markdown(specs, table, versions));
}
const found = isWriting ? [] : differences(specs, known, { isWhole: parts.length === 0 });
console.log([...found, `${specs.length} tests in ${seconds} s, ${found.length} not as in the table`].join("\n"));
process.exitCode = found.length > 0 ? 1 : 0;

/** @returns {Promise<import("./specs.js").Spec[]>} */
function run(/** @type {string} */ program, /** @type {string[]} */ parts) {
  const child = fork(program, parts, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
  return new Promise((resolve, reject) => {
    child.on("message", resolve);
    child.on("exit", (code, signal) => reject(new Error(`The tests ended with ${signal ?? `exit code ${code}`}.`)));
  });
}
