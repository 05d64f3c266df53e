import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

/** The command line as it is built: `npm test` builds it first. */
const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Ran {
  code: number | null;
  stdout: string;
  stderr: string;
  /** Milliseconds of processor time: unlike time on the clock, it is the same on a busy machine. */
  cpu: number;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** Done once, with the process, when it has written such a thing to standard error. */
  onStderr?: { matching: RegExp; act: (child: ReturnType<typeof spawn>) => void };
}

/** Makes the process write its processor time to file descriptor 3 when it ends. */
const meter = `data:text/javascript,import{writeSync}from"node:fs";process.on("exit",()=>{const{user,system}=process.cpuUsage();writeSync(3,String((user+system)/1000))})`;

/** Runs the command line in a process of its own. */
export function runCli(args: readonly string[], { cwd, env, onStderr }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", meter, main, ...args], {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe", "pipe"],
    });
    let [stdout, stderr, cpu, pending] = ["", "", "", onStderr];
    (child.stdio[3] as Readable).setEncoding("utf8").on("data", (text: string) => {
      cpu += text;
    });
    child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
      if (!pending?.matching.test(stderr)) return;
      pending.act(child);
      pending = undefined;
    });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, stdout, stderr, cpu: Number(cpu) }));
  });
}

/** A folder that is gone after the test. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tfjs-diffusion-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export const root = fileURLToPath(new URL("../../", import.meta.url));
