import { statSync } from "node:fs";

/** A file, and what it was when it was opened. */
export interface OpenedFile {
  readonly path: string;
  readonly fileSize: number;
  /** When it was last modified, in milliseconds. */
  readonly modified: number;
}

/**
 * What is wrong with a file whose weights are mapped; undefined where each is as it was when it was opened. A mapped file
 * that became shorter would end the process, so this is asked before every run.
 */
export function changedFile(opened: readonly OpenedFile[]): string | undefined {
  const files = new Map(opened.map((file) => [file.path, file]));
  for (const [path, { fileSize, modified }] of files) {
    const now = statSync(path, { throwIfNoEntry: false });
    if (!now)
      return `${path} is no longer there, and the model's weights are read from it while it computes. Load it again.`;
    if (now.size !== fileSize || now.mtimeMs !== modified) {
      return `${path} has changed since the model's weights were opened, and they are read from it while it computes. Load it again.`;
    }
  }
  return undefined;
}
