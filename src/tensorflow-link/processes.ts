import { type ChildProcess, spawn } from "node:child_process";

export interface ProcessOptions {
  cwd?: string | undefined;
  env?: NodeJS.ProcessEnv | undefined;
  /** Ends the program and all that it started; the promise is rejected with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

/**
 * Runs a program to its end.
 * @throws what `spawn` reports where it can't be started (`ENOENT` where there is none), and the signal's reason
 */
export async function ask(command: readonly string[], { cwd, env, signal }: ProcessOptions = {}): Promise<Answer> {
  signal?.throwIfAborted();
  const [program, ...args] = command;
  // A group of its own, so that what a compiler starts ends with it.
  const child = spawn(program!, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const end = (): void => endGroup(child);
  signal?.addEventListener("abort", end);
  try {
    const [stdout, stderr] = [texts(child.stdout), texts(child.stderr)];
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    signal?.throwIfAborted();
    return { code, stdout: stdout.join(""), stderr: stderr.join("") };
  } finally {
    signal?.removeEventListener("abort", end);
  }
}

/** Like `ask`; undefined where there is no such program, or it may not be started. */
export async function askIfPresent(
  command: readonly string[],
  options: ProcessOptions = {},
): Promise<Answer | undefined> {
  try {
    return await ask(command, options);
  } catch (error) {
    if (["ENOENT", "EACCES", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

function texts(stream: NodeJS.ReadableStream): string[] {
  const pieces: string[] = [];
  stream.setEncoding("utf8").on("data", (text: string) => pieces.push(text));
  return pieces;
}

function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}

/** The last lines of what a program said: where it says what went wrong. */
export function lastLines(text: string, count: number): string {
  return text.trim().split("\n").slice(-count).join("\n");
}
