import type { InferenceSession, Tensor } from "onnxruntime-node";
import type { Values } from "./graph.ts";

/** Numbers that are sent with the run that first needs them, and kept under `id`. */
export interface Sent {
  readonly id: number;
  readonly type: Tensor.Type;
  readonly shape: readonly number[];
  readonly values: Values;
}

/** What the worker is asked. Values and sessions have numbers that the asking side gives. */
export type Request =
  | { kind: "create"; session: number; model: Uint8Array; options: InferenceSession.SessionOptions }
  | { kind: "run"; session: number; inputs: readonly (number | Sent)[]; outputs: readonly number[] }
  /** Says why some values will never be there. */
  | { kind: "fail"; outputs: readonly number[]; reason: Failure }
  /** `through` is a session that copies a value from another device. */
  | { kind: "read"; id: number; through?: number | undefined; question: number }
  | { kind: "settle"; ids: readonly number[]; question: number }
  | { kind: "count"; question: number }
  | { kind: "free"; ids: readonly number[] }
  | { kind: "close"; session: number }
  | { kind: "end" };

/**
 * Two numbers that both threads see. A thread that is ended within one of ONNX Runtime's calls takes the whole program with
 * it: so it is told to start nothing more, and whoever ends it waits until it is idle.
 */
export const shared = { isEnding: 0, isBusy: 1, bytes: 8 } as const;

/** An error, as it crosses between threads. */
export interface Failure {
  readonly message: string;
  /** Whether it is the files' fault. */
  readonly isAboutWeights?: boolean;
}

/** What comes back for a question. */
export interface Answer {
  values?: Tensor.DataType | undefined;
  counts?: Counts | undefined;
  failure?: Failure | undefined;
}

/** What the worker keeps. */
export interface Counts {
  readonly values: number;
  readonly sessions: number;
}

/** What sessions hold, as it is known to whoever makes them. */
export interface Held {
  /** Sessions whose weights in files are packed. */
  readonly packed: number;
  /** Bytes of all, roughly. */
  readonly sessionBytes: number;
}
