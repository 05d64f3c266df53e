import * as tf from "@tensorflow/tfjs-core";
import { limitReason, memoryLimit } from "../backends/index.ts";
import { MemoryError } from "../errors.ts";

/** One part of a pipeline's work: the weights that must be there for it, and what computing takes besides. In bytes. */
export interface Phase {
  /** "the UNet", as the message calls it. */
  name: string;
  weights: number;
  /** The most of the weights that must be there at a time where they are read block by block. */
  streamed: number;
  working: number;
}

/** Whether all weights stay loaded, each phase's are freed before the next one's are read, or each block's before the next. */
export type Residency = "all" | "one at a time" | "block by block";

/** What there is: the memory that is free, or less where the backend can't use it all. In bytes. */
export interface Available {
  bytes: number;
  /** "are free", "can be held by the wasm backend". */
  words: string;
}

/**
 * Decides before anything is loaded. @throws MemoryError, in a plain sentence, where even the largest block of one phase does not fit.
 */
export function planResidency(phases: readonly Phase[], available: Available, advice: string): Residency {
  const weights = phases.reduce((sum, phase) => sum + phase.weights, 0);
  const working = Math.max(...phases.map((phase) => phase.working));
  if (weights + working <= available.bytes) return "all";

  if (Math.max(...phases.map((phase) => phase.weights + phase.working)) <= available.bytes) return "one at a time";

  const largest = phases.reduce((a, b) => (b.streamed + b.working > a.streamed + a.working ? b : a));
  const needed = largest.streamed + largest.working;
  if (needed <= available.bytes) return "block by block";
  const part = largest.streamed < largest.weights ? "the largest block of its weights" : "its weights";
  throw new MemoryError(
    `${largest.name} needs ${gigabytes(needed)} (${gigabytes(largest.streamed)} of them for ${part}), ` +
      `${gigabytes(available.bytes)} ${available.words}; ${advice}.`,
  );
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(bytes < 1e9 ? 2 : 1)} GB`;
}

/**
 * What can be had, as far as the runtime can tell: what the system has free, and no more than the active backend can hold.
 * @param loaded bytes of weights in memory, which could be freed
 */
export function available(loaded: number): Available {
  const free = (globalThis.process?.availableMemory?.() ?? Number.POSITIVE_INFINITY) + loaded;
  const name = tf.getBackend();
  const limit = memoryLimit(name);
  return limit < free
    ? { bytes: limit, words: `is all that the backend "${name}" can hold, ${limitReason(name)}` }
    : { bytes: free, words: "are free" };
}
