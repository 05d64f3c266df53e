import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { availableParallelism, cpus, loadavg, platform, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type BackendName, backendNames, isBackendName } from "../src/backends/index.ts";
import { bytes } from "../src/cli/format.ts";
import { openWeights } from "../src/weights/index.ts";
import { contest, type Measured, relativeDifference } from "./contest.ts";
import { type Entrant, Participant } from "./participant.ts";
import { asMarkdown, asText, type Outcome, peerNames, plainStep } from "./report.ts";
import { inputOf, partNames, sizes, type Task, tasks, titles, whats, withWeights } from "./tasks.ts";

const help = `npm run bench -- [OPTIONS]

Measures loading, a forward pass of each model, a whole picture and the memory that they take, on every backend that is
installed, beside PyTorch and diffusers where Python has them. Everything runs in a process of its own.

  --only LIST       of ${whats.join(", ")}
  --size LIST       of ${sizes.join(", ")}
  --backend LIST    of ${backendNames.join(", ")}; one that is named runs however long it takes
  --python PROGRAM  the Python that has torch and diffusers; by default that of .reference-env, else python3
  --no-peer         without PyTorch
  --runs N          runs of each, after the first (3); fewer where they take more than a minute together
  --steps N         steps of the largest picture (40), which alone takes about 10 minutes
  --weights DIR     where the random weights of full-size models are kept; by default a temporary folder
  --json FILE       all figures
  --with LIST       files of --json, of parts that were measured before: their figures stand in the table too
  --markdown FILE   the table, as bench/results.md has it
`;

/** Seconds of one participant's runs, after which it makes no more. */
const patience = 60;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    size: { type: "string" },
    backend: { type: "string" },
    python: { type: "string" },
    "no-peer": { type: "boolean" },
    runs: { type: "string", default: "3" },
    steps: { type: "string", default: "40" },
    weights: { type: "string" },
    json: { type: "string" },
    with: { type: "string" },
    markdown: { type: "string" },
    help: { type: "boolean" },
  },
});

/** The words of a list, all of them where it is not given. */
function chosen<T extends string>(option: "only" | "size" | "backend", known: readonly T[]): readonly T[] {
  const words = values[option]?.split(",") ?? known;
  for (const word of words) {
    if (!known.includes(word as T)) fail(`--${option}: there is no ${word}. There are ${known.join(", ")}.`);
  }
  return words as readonly T[];
}

/** With as many steps of the largest picture as are asked for. */
function chosenTasks(): Task[] {
  const steps = Number(values.steps);
  if (!Number.isInteger(steps) || steps < 2) fail("--steps: at least 2, since the first one is not like the others.");
  const one = ({ request, ...task }: Task): Task =>
    request?.peerSteps
      ? { ...task, request: { ...request, steps, peerSteps: Math.min(request.peerSteps, steps) } }
      : { ...task, ...(request && { request }) };
  return tasks.filter((task) => what.includes(task.what) && size.includes(task.size)).map(one);
}

function fail(message: string): never {
  console.error(message);
  process.exit(2);
}

/** A Python that imports the peer's libraries, and what they are; undefined where there is none. */
async function findPython(): Promise<string | undefined> {
  if (values["no-peer"]) return undefined;
  const candidates = values.python ? [values.python] : [".reference-env/bin/python", "python3"];
  for (const python of candidates) {
    try {
      execFileSync(python, ["-c", "import torch, diffusers, transformers"], { stdio: "pipe" });
      return python;
    } catch (error) {
      if (values.python) fail(`--python ${python}: it can't import torch, diffusers and transformers. ${error}`);
    }
  }
  return undefined;
}

const measurer = fileURLToPath(new URL("measure.js", import.meta.url));

/** Why each backend that is not to be had is not. */
async function findAbsent(backends: readonly BackendName[]): Promise<Map<BackendName, string>> {
  const absent = new Map<BackendName, string>();
  for (const name of backends) {
    const probe = new Participant([process.execPath, measurer, "null", name]);
    await probe.answer().catch((error: Error) => absent.set(name, error.message));
    probe.stop();
  }
  return absent;
}

function entrantsOf(task: Task, backends: readonly BackendName[], python: string | undefined): Entrant[] {
  const told = (name: string) => JSON.stringify({ ...task, output: outputOf(name) });
  const patiently = values.backend === undefined ? [] : ["--whatever-it-takes"];
  const ours = backends.map(
    (name): Entrant => ({ name, command: [process.execPath, measurer, told(name), name, ...patiently] }),
  );
  if (!python) return ours;
  const peers = (task.peers ?? ["plain"]).map((kind): Entrant => {
    const name = peerNames[kind];
    const output = outputOf(name);
    return { name, command: [python, "bench/peer.py", JSON.stringify({ ...task, kind, output })] };
  });
  return [...ours, ...peers];
}

function outputOf(name: string): string {
  return join(temporary, `${name.replaceAll(" ", "-")}.f32`);
}

async function measure(task: Task, backends: readonly BackendName[], python: string | undefined): Promise<Measured[]> {
  const size = task.what in partNames ? await weightsSize(task.folder) : 0;
  const isLarge = task.size !== "tiny";
  const measured = await contest(entrantsOf(task, backends, python), {
    runs: Number(values.runs),
    patience,
    aborts: (name) => isLarge && task.what === "unet" && isBackendName(name),
    canAlternate: (participants) => participants * 1.5 * size < (process.availableMemory?.() ?? 0),
  });
  for (const one of measured) estimateRest(one, task);
  const peer = measured.find(({ name, refused }) => name === peerNames.plain && refused === undefined);
  for (const one of measured) {
    if (one.refused === undefined && isLarge && size > 0) one.weightBytes = size;
    if (!peer || one.refused !== undefined) continue;
    one.flops ??= measured[0]!.flops; // the peer does the same work
    if (one === peer || peer.estimatedFrom) continue;
    one.difference = await relativeDifference(outputOf(one.name), outputOf(peer.name));
  }
  return measured;
}

/** Where fewer steps were made than were asked for, the others take as long. */
function estimateRest(measured: Measured, { request }: Task): void {
  const made = measured.steps[0];
  if (!request || !made || made.length >= request.steps) return;
  const rest = (request.steps - made.length) * plainStep(made);
  measured.estimatedFrom = made.length;
  measured.first! += rest;
  measured.runs = measured.runs.map((seconds) => seconds + rest);
}

/** Bytes of the weights in float32. */
async function weightsSize(folder: string): Promise<number> {
  const source = await openWeights(folder);
  await source.close();
  let size = 0;
  for (const { shape } of source.entries.values()) size += 4 * shape.reduce((product, length) => product * length, 1);
  return size;
}

function factsOf(outcomes: readonly Outcome[], load: number): [string, string][] {
  const versions = new Map(outcomes.flatMap(({ measured }) => measured.map(({ name, version }) => [name, version])));
  return [
    ["Date", new Date().toISOString().slice(0, 10)],
    ["Processor", `${cpus()[0]?.model.trim() || "unknown"}, ${availableParallelism()} cores, ${process.arch}`],
    ["Memory", bytes(totalmem())],
    ["System", `${platform()} ${release()}; ${load.toFixed(2)} processes at work when it began`],
    ["Node", process.versions.node],
    ...[...versions].flatMap(([name, version]): [string, string][] => (version ? [[name!, version]] : [])),
  ];
}

/** What a benchmark gave: all of it, or one of its parts. */
interface Part {
  facts: Record<string, string>;
  outcomes: Outcome[];
}

/** The figures of parts that were measured one after the other, in the order of the whole, with every fact that any has. */
function together(parts: readonly Part[]): Part {
  const names = new Set(parts.flatMap(({ facts }) => Object.keys(facts)));
  const valuesOf = (name: string) => [...new Set(parts.flatMap(({ facts }) => facts[name] ?? []))];
  const order = tasks.map(keyOf);
  const place = ({ task }: Outcome) => order.indexOf(keyOf(task));
  return {
    facts: Object.fromEntries([...names].map((name) => [name, valuesOf(name).join("; ")])),
    outcomes: parts.flatMap(({ outcomes }) => outcomes).toSorted((a, b) => place(a) - place(b)),
  };
}

function keyOf(task: Task): string {
  return `${task.what}, ${task.size}, ${inputOf(task)}`;
}

async function readPart(path: string): Promise<Part> {
  return JSON.parse(await readFile(path, "utf8"));
}

const temporary = mkdtempSync(join(tmpdir(), "tfjs-diffusion-bench-"));
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));
process.on("SIGINT", () => process.exit(130));

if (values.help) {
  console.log(help);
  process.exit();
}
const load = loadavg()[0]!;
const began = performance.now();
const [what, size, backend] = [chosen("only", whats), chosen("size", sizes), chosen("backend", backendNames)];
const absent = await findAbsent(backend);
for (const [name, reason] of absent) if (values.backend) fail(`--backend ${name}: ${reason}`);
const present = backend.filter((name) => !absent.has(name));
const python = await findPython();
if (!python && !values["no-peer"]) console.error("No Python here has torch and diffusers: ours are measured alone.");

const outcomes: Outcome[] = [];
for (const planned of chosenTasks()) {
  console.error(`${titles[planned.what]}, ${planned.size}, ${inputOf(planned)} …`);
  const task = await withWeights(planned, values.weights ?? temporary);
  outcomes.push({ task: planned, measured: await measure(task, present, python) });
}

const minutes = (performance.now() - began) / 60_000;
const facts = [...factsOf(outcomes, load), ...absent, ["Took", `${minutes.toFixed(1)} minutes`] as const];
const part = { facts: Object.fromEntries(facts), outcomes };
const whole = together([...(await Promise.all((values.with?.split(",") ?? []).map(readPart))), part]);
const wholeFacts = Object.entries(whole.facts);
console.log([...wholeFacts.map(([name, value]) => `${name}: ${value}`), "", asText(whole.outcomes)].join("\n"));
for (const [path, text] of [
  [values.json, JSON.stringify(part, undefined, 1)],
  [values.markdown, asMarkdown(whole.outcomes, wholeFacts)],
] as const) {
  if (path) await writeFile(path, text);
}
