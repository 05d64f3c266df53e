import { harmless } from "./format.ts";

/** Writes a result to standard output. */
export function print(text: string): void {
  process.stdout.write(`${harmless(text)}\n`);
}

/** Writes a result for programs to standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
