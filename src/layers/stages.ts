import * as tf from "@tensorflow/tfjs-core";
import { type AnyInputs, Layer } from "./layer.ts";
import { Loan } from "./loan.ts";
import { Parameter } from "./parameter.ts";
import { parts } from "./tree.ts";

/** What later stages need: tensors, and weights that have to be brought from where they are stored. */
export type Needed = tf.Tensor | Loan;

/**
 * A computation in stages of moderate length. Between two of them the event loop runs, progress is told, and an abort is
 * heard. What it yields is what it still needs; all else that it made is freed by whoever runs it.
 */
export type Stages<Out> = Generator<readonly Needed[], Out, void>;

/**
 * A layer big enough that it should not run in one go. `apply` still runs it in one.
 *
 * It is also a block of weights. Where they were left where they are stored (see `loadWeights`), its own are read before its
 * stages and freed after them.
 */
export abstract class StagedLayer<
  In extends unknown[] = AnyInputs,
  Out extends tf.TensorContainer = tf.TensorContainer,
> extends Layer<In, Out> {
  constructor() {
    super();
    const { stages } = this; // of the subclass, which knows nothing of where weights are
    this.stages = (...inputs) => withOwnWeights(this, inputs, stages.apply(this, inputs));
  }

  abstract stages(...inputs: In): Stages<Out>;

  protected override forward(...inputs: In): Out {
    return runAtOnce(this.stages(...inputs));
  }
}

/** Runs all stages in one go, as part of a computation of the caller's: nothing is freed in between. */
export function runAtOnce<Out>(stages: Stages<Out>): Out {
  for (;;) {
    const stage = stages.next();
    if (stage.done) return stage.value;
  }
}

/** The parameters of a layer, and the staged layers in it, whose parameters are theirs. */
export function* ownParts(layer: Layer): Generator<Parameter | StagedLayer> {
  for (const [, part] of parts(layer)) {
    if (part instanceof Parameter || part instanceof StagedLayer) yield part;
    else yield* ownParts(part);
  }
}

/**
 * The most of a tree's weights that are in memory at a time where they are read block by block: each block's on the way
 * down to the one that computes.
 */
export function streamedSize(layer: Layer, sizeOf: (parameter: Parameter) => number): number {
  let [own, nested] = [0, 0];
  for (const part of ownParts(layer)) {
    if (part instanceof Parameter) own += sizeOf(part);
    else nested = Math.max(nested, streamedSize(part, sizeOf));
  }
  return own + nested;
}

function* withOwnWeights<Out>(layer: StagedLayer, inputs: unknown[], inner: Stages<Out>): Stages<Out> {
  const stored = [...ownParts(layer)].filter((part) => part instanceof Parameter && part.isStored) as Parameter[];
  if (stored.length === 0) return yield* inner;
  const loan = new Loan(stored);
  yield [...tensorsIn(inputs), loan];
  return yield* keeping([loan], inner);
}

/** Stages within stages: while `inner` runs, the outer computation still needs `mine`. */
export function* keeping<Out>(mine: readonly Needed[], inner: Stages<Out>): Stages<Out> {
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
      await endOfStage(stage.value, signal);
    }
  } finally {
    paced.return(undefined as never);
  }
}

/** Stages one by one, each in a tidy, after which what is no longer needed is freed; all of it where the caller stops early. */
export function* pace<Out extends tf.TensorContainer>(stages: Stages<Out>): Generator<readonly Needed[], Out, void> {
  const first = nextTensorId();
  /** What a block needs may be the caller's, and stays. */
  const isOwn = (one: Needed) => one instanceof Loan || one.id >= first;
  let live: readonly Needed[] = [];
  try {
    for (;;) {
      let stage!: IteratorResult<readonly Needed[], Out>;
      let needed!: ReadonlySet<Needed>;
      tf.tidy(() => {
        stage = stages.next();
        const tensors = tensorsIn(stage.value);
        needed = new Set<Needed>(stage.done ? tensors : stage.value);
        return [...tensors];
      });
      for (const one of live) if (!needed.has(one)) one.dispose();
      live = [];
      if (stage.done) return stage.value;
      live = [...needed].filter(isOwn);
      yield stage.value;
    }
  } finally {
    for (const one of live) one.dispose();
  }
}

/** Tensors that are made from now on have this number or a higher one. */
function nextTensorId(): number {
  return tf.tidy(() => tf.scalar(0).id);
}

/** What a backend has that only records what is asked of it, and computes later. */
interface RecordingBackend {
  /** Starts computing what the next stages need, where that is much, and resolves when it is not far behind. */
  endStage?(tensors: readonly tf.Tensor[]): Promise<void>;
}

async function endOfStage(live: readonly Needed[], signal: AbortSignal | undefined): Promise<void> {
  for (const one of live) if (one instanceof Loan) await one.read(signal);
  await (tf.backend() as RecordingBackend).endStage?.([...tensorsIn(live)]);
  await nextTurn();
}

function tensorsIn(container: unknown): Set<tf.Tensor> {
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
