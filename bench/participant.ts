import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** What a measuring process says, one line of JSON at a time. */
export interface Answer {
  version?: string;
  /** Floating-point operations of one run, a multiply–add counted as two. */
  flops?: number | undefined;
  seconds?: number;
  /** Of a picture: from the beginning of the run to the end of each step, in seconds. */
  steps?: readonly number[] | undefined;
  peakBytes?: number;
  /** Why it does not take part. */
  refused?: string;
}

/** How to start one that takes part: a backend of ours, or the peer. */
export interface Entrant {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
}

/** A process that computes the same thing each time it is told to. */
export class Participant {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<string>;
  #errors = "";

  constructor([program, ...args]: readonly [string, ...string[]]) {
    this.#child = spawn(program, args);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-4000);
    });
    this.#child.on("error", (error) => {
      this.#errors = error.message;
    });
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", (code, signal) => resolve(signal ? `by ${signal}` : `with exit code ${code}`));
    });
    this.#child.stdin.on("error", () => {}); // it has ended, which its missing answer tells
  }

  /** @throws Error where it refuses, or has ended */
  async answer(): Promise<Answer> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`The process ended ${await this.#ended}: ${reasonIn(this.#errors)}`);
    const answer = JSON.parse(value) as Answer;
    if (answer.refused !== undefined) throw new Error(answer.refused);
    return answer;
  }

  ask(word: "load" | "run" | "abort" | "end"): Promise<Answer> {
    this.#child.stdin.write(`${word}\n`);
    return this.answer();
  }

  stop(): void {
    this.#child.kill();
  }
}

/** The last line that tells of an error, or else the last line. */
function reasonIn(text: string): string {
  const lines = text.trim().split("\n");
  return (lines.findLast((line) => /error|abort/i.test(line)) ?? lines.at(-1)) || "it said nothing.";
}
