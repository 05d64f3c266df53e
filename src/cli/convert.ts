import type { Command } from "commander";
export function addConvert(_program: Command, _signal: AbortSignal): void {}
