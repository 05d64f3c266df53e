// `npm run accuracy [-- FILE]`: runs the reference tests on every backend and writes docs/accuracy.md. The figures of the tiny models
// come from FILE, where `npm run bench -- --json FILE` has measured them, or are measured; those of full-size models come from
// bench/results.md.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { readFound } from "./found.js";
import { backends, costTable, errorTable, rowsOf } from "./table.js";

/** @typedef {import("./table.js").Cost} Cost */

/** What bench calls a model, and what the tests call it. @type {Record<string, import("./table.js").Subject>} */
const subjects = {
  unet: "UNet",
  text: "text encoders",
  vae: "autoencoder",
  swin: "Swin classifier",
  picture: "pictures: latents after every step",
};

/** @type {Record<string, string>} */
const models = { unet: "UNet", text: "text encoder", vae: "VAE decode", swin: "Swin classifier", picture: "picture" };

function run(/** @type {string} */ program, /** @type {string[]} */ ...args) {
  const { status } = spawnSync(program, args, { stdio: ["ignore", "inherit", "inherit"] });
  if (status !== 0) throw new Error(`${program} ${args.join(" ")} failed: no table is written.`);
}

function measure() {
  const file = "out/bench-tiny.json";
  const only = ["--only", Object.keys(subjects).join(), "--size", "tiny", "--backend", backends.join()];
  run("node", "out/bench/run.js", ...only, "--no-peer", "--runs", "3", "--json", file);
  return file;
}

mkdirSync("out", { recursive: true });
const benchFile = process.argv[2] ?? measure();
run("npx", "vitest", "run", ...backends.flatMap((name) => ["--project", name]));

const found = readFound();
const { facts, outcomes } = JSON.parse(readFileSync(benchFile, "utf8"));

function errorOf(/** @type {string} */ backend, /** @type {import("./table.js").Subject | undefined} */ subject) {
  return subject && found.get(backend)?.[subject];
}

/** @returns {Cost[]} */
function tinyCosts() {
  const tiny = outcomes.filter((/** @type {any} */ { task }) => task.size === "tiny" && task.what in subjects);
  return tiny.flatMap((/** @type {any} */ { task, measured }) =>
    measured.map((/** @type {any} */ { name, refused, runs, peakBytes }) => ({
      model: `${models[task.what]}, tiny`,
      backend: name,
      error: errorOf(name, subjects[task.what]),
      seconds: runs.toSorted((/** @type {number} */ a, /** @type {number} */ b) => a - b)[Math.floor(runs.length / 2)],
      bytes: peakBytes,
      ...(refused === undefined ? {} : { note: refused }),
    })),
  );
}

/** @returns {Cost[]} */
function fullSizeCosts() {
  const [titles, ...rows] = rowsOf(readFileSync("bench/results.md", "utf8"), "what");
  const records = rows.map((cells) => Object.fromEntries(titles.map((title, i) => [title.trim(), cells[i]?.trim()])));
  return records
    .filter((record) => record.size !== "tiny" && backends.includes(record.on ?? "") && record["run s"] !== "–")
    .map((record) => ({
      model: `${record.what}, ${record.size}, ${record.input}`,
      backend: record.on ?? "",
      ...(record.difference ? { error: Number(record.difference) } : {}), // where a peer ran beside it
      seconds: Number(record["run s"]),
      bytes: bytesOf(record["peak memory"] ?? ""),
    }));
}

function bytesOf(/** @type {string} */ text) {
  const [number, unit] = text.split(" ");
  return Number(number) * (unit === "GB" ? 1e9 : 1e6);
}

writeFileSync(
  "docs/accuracy.md",
  `# Accuracy, time and memory on every backend

Made by \`npm run accuracy\`, never edited by hand. The same model code gives the same numbers on every backend, within the tolerances below: the tests against
the Python reference run on each of them, and fail where one leaves its tolerance. \`test/accuracy.test.ts\` fails where this page says something else than they find.

${["Date", "Processor", "System", "Node", ...backends].map((name) => `- ${name}: ${facts[name]}`).join("\n")}

## Errors

The largest in all tests of a kind, in float32: the largest difference to what diffusers, transformers and PyTorch compute, divided by the largest number that they give. The
tolerance is that of every backend. Where a kernel is named, TensorFlow.js's backend does not have it, and such gradients can't be computed on it.

${errorTable(found)}

## Models

Of tiny models, the error is the largest in the tests above, time and memory are those of one forward, or of a picture of 8 steps, of the model that ships in \`weights/tiny\`.
Of full-size models all are from [bench/results.md](../bench/results.md), which also says on what they were measured and why others do not run.
Memory is the most that the process held.

${costTable([...tinyCosts(), ...fullSizeCosts()])}
`,
);
