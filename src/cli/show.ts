import type { Command } from "commander";
export function addShow(_program: Command, _signal: AbortSignal): void {}
