/** Writes a result to standard output. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Writes a result for programs to standard output. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}
