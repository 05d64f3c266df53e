import { InputError } from "../../errors.ts";

/** What can compute: the processor, any vendor's GPU, NVIDIA's. */
export const devices = ["cpu", "webgpu", "cuda"] as const;
export type Device = (typeof devices)[number];

/** What weights are kept as; on `webgpu` also what is computed in. */
export const precisions = ["float32", "float16"] as const;
export type Precision = (typeof precisions)[number];

/** How the backend computes. */
export interface OnnxRuntimeOptions {
  /** What computes; by default the processor. */
  device?: Device | undefined;
  /** By default float32. */
  precision?: Precision | undefined;
  /** Threads that compute; by default as many as the machine has cores. Results differ in their last bits by it. */
  threads?: number | undefined;
  /** Sessions that are kept for graphs of the same structure; by default 256. */
  maxSessions?: number | undefined;
  /** Bytes that they may hold, as far as that is known; by default half of the machine's memory. */
  maxSessionBytes?: number | undefined;
}

interface Values {
  readonly description: string;
  includes(value: unknown): boolean;
}

const allowed: Readonly<Record<keyof OnnxRuntimeOptions, Values>> = {
  device: oneOf(devices),
  precision: oneOf(precisions),
  threads: countUpTo(1024),
  maxSessions: countUpTo(1e6),
  maxSessionBytes: countUpTo(Number.MAX_SAFE_INTEGER),
};

const optionNames = Object.keys(allowed) as (keyof OnnxRuntimeOptions)[];

function oneOf(words: readonly string[]): Values {
  return { description: `one of ${words.join(", ")}`, includes: (value) => words.includes(value as string) };
}

function countUpTo(most: number): Values {
  return {
    description: `a whole number from 1 to ${most}`,
    includes: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= most,
  };
}

/** @throws InputError that names an option with a value that it can't have, or one that there is not */
export function checkOptions(options: OnnxRuntimeOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (!Object.hasOwn(allowed, name)) {
      throw new InputError(`The backend "onnxruntime" has no option "${name}". It has ${optionNames.join(", ")}.`);
    }
    const { description, includes } = allowed[name as keyof OnnxRuntimeOptions];
    if (value !== undefined && !includes(value)) {
      throw new InputError(
        `The backend "onnxruntime" has no ${name} ${JSON.stringify(value)}: it must be ${description}.`,
      );
    }
  }
  const { device = "cpu", precision } = options;
  if (precision === "float16" && device === "cuda") {
    throw new InputError('The precision "float16" is for the devices "cpu" and "webgpu", not for "cuda".');
  }
}

/** What is computed in. Processors widen each number of float16 before they compute with it: there it would only take longer. */
export function arithmeticOf({ device, precision = "float32" }: OnnxRuntimeOptions): Precision {
  return device === "webgpu" ? precision : "float32";
}

/** Whether two sets of options are the same but for what is left out. */
export function areEqual(a: OnnxRuntimeOptions, b: OnnxRuntimeOptions): boolean {
  return optionNames.every((name) => a[name] === b[name]);
}
