import { describe, expect, it } from "vitest";
import { heedSignals, type Interrupt } from "../../src/cli/signals.ts";

describe("a signal from outside", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
  ] as const)("%s aborts, and leaves the second to the system, which ends the process at once", (name, exitCode) => {
    const before = [process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")];
    const others = process.listeners(name);
    const signal = heedSignals();
    const ours = process.listeners(name).filter((listener) => !others.includes(listener));
    expect(ours).toHaveLength(1);
    expect(signal.aborted).toBe(false);
    ours[0]!(name);
    expect(signal.aborted).toBe(true);
    expect((signal.reason as Interrupt).exitCode).toBe(exitCode);
    expect([process.listenerCount("SIGINT"), process.listenerCount("SIGTERM")]).toEqual(before);
  });
});
