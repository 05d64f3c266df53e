import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { readFound } from "./accuracy/found.js";
import { backends, isAlike, lacking, readErrors, rowsOf, subjects, tolerances } from "./accuracy/table.js";

// It runs after all other tests, and holds docs/accuracy.md against what those found. `npm run accuracy` writes it anew.

const page = await readFile("docs/accuracy.md", "utf8");
const found = readFound();

test("the page states every error, or the kernel that is lacking, and the tolerances that the tests keep", () => {
  const stated = readErrors(page);
  expect([...stated.keys()].filter((name) => name !== "tolerance")).toEqual(backends);
  for (const backend of backends) {
    const known = subjects.filter((subject) => !lacking[backend]?.[subject]);
    expect(Object.keys(stated.get(backend)!), backend).toEqual(known);
  }
  expect(stated.get("tolerance")).toEqual(tolerances);
  expect(new Set(rowsOf(page, "model").map(([, backend]) => backend))).toEqual(
    new Set(["backend", ...backends.map((name) => `\`${name}\``)]),
  );
});

test("every backend that works here was tested", ({ skip }) => {
  if (!process.env.CI) skip("only some may have been asked for, where this is not CI");
  expect([...found.keys()]).toEqual(expect.arrayContaining(["cpu", "onnxruntime", "wasm"]));
});

test.for(backends)("the errors of %s are those that the page states", (backend, { skip }) => {
  const errors = found.get(backend);
  if (!errors) skip("its tests did not run");
  const stated = readErrors(page).get(backend)!;
  const [here, there] = [errors!, stated].map((each) => JSON.stringify(each, undefined, 1));
  expect(Object.keys(errors!).sort()).toEqual(Object.keys(stated).sort());
  for (const subject of subjects) {
    if (stated[subject] === undefined) continue;
    expect(isAlike(errors![subject]!, stated[subject]), `${subject}: ${here} here, ${there} there`).toBe(true);
  }
});
