import type { Command } from "commander";
export function addCompare(_program: Command, _signal: AbortSignal): void {}
