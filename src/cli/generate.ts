import type { Command } from "commander";
export function addGenerate(_program: Command, _signal: AbortSignal): void {}
