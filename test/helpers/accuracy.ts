import { mkdir, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { expect } from "vitest";
import { foundFolder } from "../accuracy/found.js";
import { type Subject, tolerances } from "../accuracy/table.js";

const found = new Map<Subject, number>();

/** Expects an error to be within the tolerance, and keeps the largest of each subject for docs/accuracy.md. */
export function expectAccurate(subject: Subject, error: number, what: string = subject): void {
  found.set(subject, Math.max(found.get(subject) ?? 0, error));
  expect(error, what).toBeLessThanOrEqual(tolerances[subject]);
}

/** Writes what a file of tests found, where test/accuracy.test.ts looks for it. */
export async function saveFound(backend: string, file: string): Promise<void> {
  if (found.size === 0) return;
  const path = join(foundFolder, backend, `${basename(file, ".test.ts")}.json`);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, JSON.stringify(Object.fromEntries(found)));
}
