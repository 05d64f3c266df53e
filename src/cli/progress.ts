import { cut, duration } from "./format.ts";

export interface ProgressOptions {
  /** Where it is shown; by default standard error, so that standard output holds results alone. */
  stream?: NodeJS.WriteStream;
  quiet?: boolean;
  now?: () => number;
}

const barWidth = 24;
const redraw = 80; // milliseconds between two drawings of the bar
const sparse = 10_000; // milliseconds between two lines where there is no terminal

/** How far the work is, and how long it may still take: one line that is drawn again on a terminal, few lines elsewhere. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #task = "";
  #started = 0;
  #shown = Number.NEGATIVE_INFINITY;
  #isOpen = false;

  constructor({ stream = process.stderr, quiet = false, now = () => performance.now() }: ProgressOptions = {}) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#now = now;
  }

  /** Shows that `done` of `total` is done. Another task's name begins another line. */
  update(task: string, done: number, total: number): void {
    const now = this.#now();
    const isNew = task !== this.#task;
    if (isNew) {
      this.end();
      [this.#task, this.#started] = [task, now];
    }
    const interval = this.#stream.isTTY ? redraw : sparse;
    const isDue = isNew || done >= total || now - this.#shown >= interval;
    if (this.#quiet || !isDue) return;
    this.#shown = now;
    const text = line(task, done, total, now - this.#started);
    this.#write(this.#stream.isTTY ? text : text.replace(/ [█░]+/, ""));
  }

  /** A line that stays, above what comes next. */
  say(text: string): void {
    this.end();
    if (!this.#quiet) this.#stream.write(`${text}\n`);
  }

  /** Leaves the last line as it is. */
  end(): void {
    if (this.#isOpen) this.#stream.write("\n");
    this.#isOpen = false;
    this.#task = "";
  }

  #write(text: string): void {
    if (!this.#stream.isTTY) {
      this.#stream.write(`${text}\n`);
      return;
    }
    this.#stream.write(`\r\x1b[K${cut(text, (this.#stream.columns || 80) - 1)}`);
    this.#isOpen = true;
  }
}

function line(task: string, done: number, total: number, elapsed: number): string {
  const part = total > 0 ? Math.min(1, done / total) : 1;
  const filled = Math.round(part * barWidth);
  const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
  const percent = `${Math.floor(part * 100)}%`.padStart(4);
  const count = Number.isInteger(total) && total <= 10_000 ? ` ${done}/${total}` : "";
  return `${task} ${bar}${percent}${count}${time(part, elapsed)}`;
}

function time(part: number, elapsed: number): string {
  if (part >= 1) return `, took ${duration(elapsed)}`;
  if (part === 0) return "";
  return `, ${duration((elapsed * (1 - part)) / part)} left`;
}
