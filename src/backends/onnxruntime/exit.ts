import { shared } from "./protocol.ts";

/** What each living thread shares with this one. */
const living = new Set<Int32Array>();

/** Milliseconds to wait for a thread when the program ends: one that died within a call can't say that it is idle. */
const longestWait = 60_000;

/** One listener for all threads, and none where there is no thread. */
export function waitForAtExit(state: Int32Array): void {
  if (living.size === 0) process.on("exit", waitUntilIdle);
  living.add(state);
}

export function forgetAtExit(state: Int32Array): void {
  living.delete(state);
  if (living.size === 0) process.off("exit", waitUntilIdle);
}

/** The program ends, and all threads with it: not within a call of ONNX Runtime, which is soon over. */
function waitUntilIdle(): void {
  for (const state of living) Atomics.store(state, shared.isEnding, 1);
  for (const state of living) Atomics.wait(state, shared.isBusy, 1, longestWait);
}
