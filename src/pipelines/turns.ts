/** A queue of one: whoever calls first works first, and the next begins when the one before has ended. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Waits for its turn and returns the function that ends it. An abort while waiting gives the place up. */
  async take(signal?: AbortSignal): Promise<() => void> {
    signal?.throwIfAborted();
    const before = this.#last;
    let end!: () => void;
    this.#last = new Promise((resolve) => {
      end = resolve;
    });
    const cleared = new AbortController();
    try {
      await Promise.race([before, aborted(signal, cleared.signal)]);
    } catch (reason) {
      before.then(end);
      throw reason;
    } finally {
      cleared.abort();
    }
    return end;
  }
}

/** Never resolves; rejects with the signal's reason when it is aborted before `cleared`. */
function aborted(signal: AbortSignal | undefined, cleared: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true, signal: cleared });
  });
}
