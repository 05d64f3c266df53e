import type { Command } from "commander";
export function addObserve(_program: Command, _signal: AbortSignal): void {}
