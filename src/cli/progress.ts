import { cut, duration, harmless } from "./format.ts";

export interface ProgressOptions {
  /** Where it is shown; by default standard error, so that standard output holds results alone. */
  stream?: NodeJS.WriteStream;
  quiet?: boolean | undefined;
  now?: () => number;
}

const barWidth = 24;
const maxCounted = 100_000; // what comes in larger numbers are bytes
const redraw = 80; // milliseconds between two drawings of the bar
const sparse = 10_000; // milliseconds between two lines where there is no terminal

/** How far the work is, and how long it may still take: one line that is drawn again on a terminal, few lines elsewhere. */
export class Progress {
  readonly #stream: NodeJS.WriteStream;
  readonly #quiet: boolean;
  readonly #now: () => number;
  #task = "";
  #started = 0;
  #first = 0;
  #shown = Number.NEGATIVE_INFINITY;
  #isOpen = false;
  #isFinished = false;

  constructor({ stream = process.stderr, quiet = false, now = () => performance.now() }: ProgressOptions = {}) {
    this.#stream = stream;
    this.#quiet = quiet;
    this.#now = now;
  }

  /**
   * Shows that `done` of `total` is done. Another task's name begins another line. The time left is judged from the first `done`
   * of a task on: what was done before it says nothing of the pace.
   * @param note what else is to be seen of it
   */
  update(task: string, done: number, total: number, note = ""): void {
    const now = this.#now();
    const isNew = task !== this.#task;
    if (isNew) {
      this.end();
      [this.#task, this.#started, this.#first, this.#isFinished] = [task, now, done, false];
    }
    const state = { first: this.#first, done, total, elapsed: now - this.#started, note };
    const isEnd = done >= total && !this.#isFinished;
    this.#isFinished ||= isEnd;
    const isDue = now - this.#shown >= (this.#stream.isTTY ? redraw : sparse);
    const isShown = this.#stream.isTTY ? isNew || isEnd || isDue : isNew || isDue || (isEnd && state.elapsed >= sparse);
    if (this.#quiet || !isShown) return;
    this.#shown = now;
    if (this.#stream.isTTY) this.#draw(bar(task, state));
    else this.#stream.write(isNew ? `${task} …\n` : `${task}: ${figures(state)}\n`);
  }

  /** What must be known, so it is not quiet either. */
  warn(text: string): void {
    this.end();
    this.#stream.write(`warning: ${harmless(text)}\n`);
  }

  /** A line that stays, above what comes next. */
  say(text: string): void {
    this.end();
    if (!this.#quiet) this.#stream.write(`${harmless(text)}\n`);
  }

  /** Leaves the last line as it is. */
  end(): void {
    if (this.#isOpen) this.#stream.write("\n");
    this.#isOpen = false;
    this.#task = "";
  }

  #draw(text: string): void {
    this.#stream.write(`\r\x1b[K${cut(text, (this.#stream.columns || 80) - 1)}`);
    this.#isOpen = true;
  }
}

interface State {
  first: number;
  done: number;
  total: number;
  elapsed: number;
  note: string;
}

function bar(task: string, state: State): string {
  const filled = Math.round(part(state) * barWidth);
  return `${task} ${"█".repeat(filled)}${"░".repeat(barWidth - filled)} ${figures(state)}`;
}

function part({ done, total }: State): number {
  return total > 0 ? Math.min(1, done / total) : 1;
}

/** "40% 16/40, loss 0.1, 2 min 3 s left". */
function figures(state: State): string {
  const count = state.total <= maxCounted ? ` ${Math.floor(state.done)}/${state.total}` : "";
  return `${Math.floor(part(state) * 100)}%${count}${state.note && `, ${state.note}`}${time(state)}`;
}

function time(state: State): string {
  const { first, done, total, elapsed } = state;
  if (done >= total) return `, took ${duration(elapsed)}`;
  if (done <= first) return "";
  return `, ${duration((elapsed * (total - done)) / (done - first))} left`;
}
