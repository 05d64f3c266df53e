// What docs/accuracy.md says: how far every backend is off from the reference, and what it takes.

/**
 * What is compared with the reference, and how far any backend may be off: the largest difference divided by the largest
 * expected number.
 */
export const tolerances = {
  operations: 1e-5,
  layers: 1e-5,
  "text encoders, layer by layer": 1e-5,
  "text encoders": 1e-5,
  "image towers, layer by layer": 1e-5,
  "image towers": 1e-5,
  "UNet, layer by layer": 1e-4,
  UNet: 2e-5,
  autoencoder: 1e-5,
  "Swin classifier, layer by layer": 1e-5,
  "Swin classifier": 1e-5,
  "DDIM, chains of steps": 3e-5,
  "DDIM, with roots rounded correctly": 1e-6,
  guidance: 1e-6,
  "pictures: text": 1e-5,
  "pictures: latents after every step": 5e-5,
  "pictures: pixels before rounding": 5e-5,
  "gradients of a resnet block by its inputs": 1e-5,
  "gradients of a resnet block by its weights": 1e-5,
  "gradients of a transformer block by its inputs": 1e-5,
  "gradients of a transformer block by its weights": 1e-5,
  "gradients of a UNet by its inputs": 5e-5,
  "gradients of a UNet by its weights": 5e-5,
};

/** @typedef {keyof typeof tolerances} Subject */
/** @typedef {Partial<Record<Subject, number>>} Errors The largest of each subject */
/** @typedef {{ model: string, backend: string, subject?: Subject, error?: number, seconds?: number, bytes?: number, note?: string }} Cost */

export const subjects = /** @type {Subject[]} */ (Object.keys(tolerances));
export const backends = ["onnxruntime", "tensorflow", "wasm", "cpu"];

/**
 * What TensorFlow.js's backends have no kernel for, by backend and subject.
 * @type {Record<string, Partial<Record<Subject, string>>>}
 */
export const lacking = {
  wasm: {
    "gradients of a resnet block by its weights": "Conv2DBackpropFilter",
    "gradients of a UNet by its inputs": "UnsortedSegmentSum",
    "gradients of a UNet by its weights": "Conv2DBackpropFilter",
  },
};

/** Below it, errors are as good as none: float32 has 24 bits. */
const least = 1e-7;

/** Whether two errors are the same but for the order of additions, which differs by processor and number of threads. */
export function isAlike(/** @type {number} */ a, /** @type {number} */ b) {
  const [less, more] = [a, b].map((error) => Math.max(error, least)).toSorted((x, y) => x - y);
  return /** @type {number} */ (more) <= 4 * /** @type {number} */ (less);
}

const row = (/** @type {readonly string[]} */ cells) => `| ${cells.join(" | ")} |`;

/** The table of errors, as Markdown. */
export function errorTable(/** @type {ReadonlyMap<string, Errors>} */ found) {
  const cell = (/** @type {Subject} */ subject, /** @type {string} */ backend) =>
    lacking[backend]?.[subject] ? `no ${lacking[backend][subject]}` : shortly(found.get(backend)?.[subject]);
  return [
    row(["compared", "tolerance", ...backends.map((name) => `\`${name}\``)]),
    row(["---", ...Array(1 + backends.length).fill("---:")]),
    ...subjects.map((subject) =>
      row([subject, shortly(tolerances[subject]), ...backends.map((backend) => cell(subject, backend))]),
    ),
  ].join("\n");
}

/** The largest errors that a document with such a table states, by backend. */
export function readErrors(/** @type {string} */ markdown) {
  /** @type {Map<string, Errors & { tolerance?: never }>} */
  const stated = new Map();
  const [head, ...rows] = rowsOf(markdown, "compared");
  for (const [i, name] of head.entries()) {
    const cells = rows.map((cells) => /** @type {const} */ ([cells[0], Number(cells[i])]));
    if (i > 0)
      stated.set(name.replaceAll("`", ""), Object.fromEntries(cells.filter(([, error]) => !Number.isNaN(error))));
  }
  return stated;
}

/**
 * The rows of cells of the table whose first column has that title, from that row on; without the rule.
 * @returns {[string[], ...string[][]]}
 */
export function rowsOf(/** @type {string} */ markdown, /** @type {string} */ title) {
  const lines = markdown.split("\n");
  const from = lines.findIndex((line) => line.startsWith(`| ${title} |`));
  const to = lines.findIndex((line, i) => i > from && !line.startsWith("|"));
  const rows = lines.slice(from, to < 0 ? undefined : to).map((line) => line.slice(2, -2).split(" | "));
  return /** @type {[string[], ...string[][]]} */ (rows.filter((_, i) => i !== 1));
}

/** The table of what models take, as Markdown. */
export function costTable(/** @type {readonly Cost[]} */ costs) {
  return [
    row(["model", "backend", "largest error", "one run", "peak memory"]),
    row(["---", "---", "---:", "---:", "---:"]),
    ...costs.map(({ model, backend, error, seconds, bytes, note }) =>
      row([
        model,
        `\`${backend}\``,
        ...(note ? [note, "", ""] : [shortly(error), `${seconds?.toPrecision(3)} s`, megabytes(bytes)]),
      ]),
    ),
  ].join("\n");
}

const shortly = (/** @type {number | undefined} */ error) => (error === 0 ? "0" : (error?.toExponential(1) ?? "–"));
const megabytes = (/** @type {number | undefined} */ bytes) => (bytes ? `${Math.round(bytes / 1e6)} MB` : "–");
