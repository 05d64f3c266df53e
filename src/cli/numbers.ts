import { InvalidArgumentError } from "commander";

export interface Range {
  min?: number;
  max?: number;
}

/** Reads an option's value as a whole number. */
export function integer({ min = -Infinity, max = Number.MAX_SAFE_INTEGER }: Range = {}): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^[+-]?\d+$/.test(text.trim()) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number${within(min, max)}.`);
    }
    return value;
  };
}

/** Reads an option's value as a number. */
export function decimal({ min = -Infinity, max = Infinity }: Range = {}): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isFinite(value) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a number${within(min, max)}.`);
    }
    return value;
  };
}

function within(min: number, max: number): string {
  const bounded = Number.isFinite(max) && max !== Number.MAX_SAFE_INTEGER;
  if (Number.isFinite(min) && bounded) return ` from ${min} to ${max}`;
  if (Number.isFinite(min)) return `, ${min} or more`;
  return bounded ? `, ${max} or less` : "";
}

/** An option that may be given several times: its values in order. */
export function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}
