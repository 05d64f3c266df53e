import * as tf from "@tensorflow/tfjs-core";
import { type AnyInputs, Layer } from "./layer.ts";

/**
 * A computation in stages of moderate length. Between two of them the event loop runs, progress is told, and an abort is
 * heard. What it yields are the tensors that it made and still needs; all others are freed by whoever runs it.
 */
export type Stages<Out> = Generator<readonly tf.Tensor[], Out, void>;

/** A layer big enough that it should not run in one go. `apply` still runs it in one. */
export abstract class StagedLayer<
  In extends unknown[] = AnyInputs,
  Out extends tf.TensorContainer = tf.TensorContainer,
> extends Layer<In, Out> {
  abstract stages(...inputs: In): Stages<Out>;

  protected override forward(...inputs: In): Out {
    const stages = this.stages(...inputs);
    for (;;) {
      const stage = stages.next();
      if (stage.done) return stage.value;
    }
  }
}

/** Stages within stages: while `inner` runs, the outer computation still needs `mine`. */
export function* keeping<Out>(mine: readonly tf.Tensor[], inner: Stages<Out>): Stages<Out> {
  for (;;) {
    const stage = inner.next();
    if (stage.done) return stage.value;
    yield [...mine, ...stage.value];
  }
}

export interface RunOptions {
  /** Heard between stages: the run ends with the signal's reason, and everything it made is freed. */
  signal?: AbortSignal | undefined;
  /** Called after every stage but the last. */
  onStage?: ((stage: number) => void) | undefined;
}

/** Runs stage after stage and lets the event loop turn in between. */
export async function runStages<Out extends tf.TensorContainer>(
  stages: Stages<Out>,
  { signal, onStage }: RunOptions = {},
): Promise<Out> {
  const paced = pace(stages);
  try {
    for (let count = 1; ; count++) {
      signal?.throwIfAborted();
      const stage = paced.next();
      if (stage.done) return stage.value;
      onStage?.(count);
      await endOfStage(stage.value);
    }
  } finally {
    paced.return(undefined as never);
  }
}

/** Stages one by one, each in a tidy, after which what is no longer needed is freed; all of it where the caller stops early. */
export function* pace<Out extends tf.TensorContainer>(stages: Stages<Out>): Generator<readonly tf.Tensor[], Out, void> {
  let live: readonly tf.Tensor[] = [];
  try {
    for (;;) {
      let stage!: IteratorResult<readonly tf.Tensor[], Out>;
      tf.tidy(() => {
        stage = stages.next();
        return stage.value as tf.TensorContainer;
      });
      const needed = tensorsIn(stage.value as tf.TensorContainer);
      for (const tensor of live) if (!needed.has(tensor)) tensor.dispose();
      live = [];
      if (stage.done) return stage.value;
      live = stage.value;
      yield live;
    }
  } finally {
    for (const tensor of live) tensor.dispose();
  }
}

/** What a backend has that only records what is asked of it, and computes later. */
interface RecordingBackend {
  /** Starts computing what the next stages need, where that is much, and resolves when it is not far behind. */
  endStage?(tensors: readonly tf.Tensor[]): Promise<void>;
}

async function endOfStage(live: readonly tf.Tensor[]): Promise<void> {
  await (tf.backend() as RecordingBackend).endStage?.(live);
  await nextTurn();
}

function tensorsIn(container: tf.TensorContainer): Set<tf.Tensor> {
  const found = new Set<tf.Tensor>();
  const visit = (value: unknown): void => {
    if (value instanceof tf.Tensor) found.add(value);
    else if (value && typeof value === "object") Object.values(value).forEach(visit);
  };
  visit(container);
  return found;
}

/** Resolves when the event loop has gone round once: timers and I/O had their turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => ("setImmediate" in globalThis ? setImmediate(resolve) : setTimeout(resolve)));
}
