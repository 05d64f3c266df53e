import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where the tests leave what they find: a folder for each backend, a file for each file of tests. */
export const foundFolder = "out/accuracy";

/** The largest errors that the tests of this run found, by backend. */
export function readFound() {
  /** @type {Map<string, import("./table.js").Errors>} */
  const found = new Map();
  for (const backend of existsSync(foundFolder) ? readdirSync(foundFolder) : []) {
    const files = readdirSync(join(foundFolder, backend)).map((file) => join(foundFolder, backend, file));
    found.set(backend, largest(files.map((file) => JSON.parse(readFileSync(file, "utf8")))));
  }
  return found;
}

/** @returns {import("./table.js").Errors} */
function largest(/** @type {Record<string, number>[]} */ records) {
  /** @type {Record<string, number>} */
  const errors = {};
  for (const record of records) {
    for (const [subject, error] of Object.entries(record)) errors[subject] = Math.max(errors[subject] ?? 0, error);
  }
  return errors;
}
