import type { Parameter } from "./parameter.ts";

/** Weights that are in memory while a computation needs them, and before and after only where they are stored. */
export class Loan {
  readonly #parameters: readonly Parameter[];
  readonly #borrowed = new Set<Parameter>();

  constructor(parameters: readonly Parameter[]) {
    this.#parameters = parameters;
  }

  /** Reads those that are not there yet. The signal is heard between two of them. */
  async read(signal?: AbortSignal): Promise<void> {
    for (const parameter of this.#parameters) {
      if (this.#borrowed.has(parameter)) continue;
      signal?.throwIfAborted();
      this.#borrowed.add(parameter);
      await parameter.borrow();
    }
  }

  /** Gives back what was read. */
  dispose(): void {
    for (const parameter of this.#borrowed) parameter.giveBack();
    this.#borrowed.clear();
  }
}
