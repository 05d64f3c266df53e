import * as tf from "@tensorflow/tfjs-core";

/**
 * A place for a weight. It holds no memory until a value is assigned, or, where the weight is left where it is stored, while
 * somebody borrows it.
 *
 * `shape` is PyTorch's, as it stands in checkpoints. `axes` says where PyTorch's axes stand in `value`, when the two
 * differ: convolution filters are [out, in, height, width] there and [height, width, in, out] in tfjs.
 */
export class Parameter<R extends tf.Rank = tf.Rank> {
  readonly shape: readonly number[];
  readonly axes: readonly number[];
  #variable: tf.Variable<R> | undefined;
  #standIn: tf.Tensor | undefined;
  #stored: StoredWeight | undefined;

  constructor(shape: readonly number[], axes: readonly number[] = shape.map((_, axis) => axis)) {
    this.shape = shape;
    this.axes = axes;
  }

  get size(): number {
    return this.shape.reduce((product, length) => product * length, 1);
  }

  /** The shape of `value`, in tfjs's layout. */
  get valueShape(): number[] {
    return this.axes.map((axis) => this.shape[axis]!);
  }

  get isLoaded(): boolean {
    return this.#variable !== undefined;
  }

  /** Whether the weight is left where it is stored. */
  get isStored(): boolean {
    return this.#stored !== undefined;
  }

  /** The weight, in tfjs's layout. @throws Error where it is not in memory. */
  get value(): tf.Tensor<R> {
    const value = this.#variable ?? this.#standIn;
    if (value) return value as tf.Tensor<R>;
    throw new Error(
      this.#stored
        ? `A weight of shape [${this.shape}] is read only for the stages that need it: run the model by runStages(model.stages(…)).`
        : `A parameter of shape [${this.shape}] has no value: load the model's weights first.`,
    );
  }

  /** Takes over a tensor of `valueShape`; the caller gives it up. An earlier value is freed. */
  assign(tensor: tf.Tensor): void {
    this.#check(tensor);
    this.dispose();
    this.#hold(tensor);
  }

  /** Leaves the weight where it is stored. `read` brings it, in tfjs's layout, whenever somebody borrows it. */
  leave(read: () => Promise<tf.Tensor>): void {
    this.dispose();
    this.#stored = { read, borrowers: 0, reading: undefined };
  }

  /** Brings a weight that was left where it is stored, and keeps it until it is given back as often as it was borrowed. */
  async borrow(): Promise<void> {
    const stored = this.#stored;
    if (!stored) return;
    stored.borrowers++;
    stored.reading ??= this.#bring(stored);
    await stored.reading;
  }

  giveBack(): void {
    if (!this.#stored?.borrowers) return; // it was disposed of meanwhile
    this.#stored.borrowers--;
    if (this.#stored.borrowers > 0) return;
    this.#stored.reading = undefined;
    this.#free();
  }

  /** Has a tensor stand for a weight that is not in memory, until the function that comes back is called. */
  lend(tensor: tf.Tensor): () => void {
    this.#check(tensor);
    this.#standIn = tensor;
    return () => {
      this.#standIn = undefined;
    };
  }

  dispose(): void {
    this.#free();
    this.#stored = undefined;
  }

  #check(tensor: tf.Tensor): void {
    if (tf.util.arraysEqual(tensor.shape, this.valueShape)) return;
    throw new Error(`A parameter of shape [${this.valueShape}] can't take a tensor of shape [${tensor.shape}].`);
  }

  #hold(tensor: tf.Tensor): void {
    // A variable outlives every tidy. It is left unnamed: tfjs's variable names are global, and a model may be made twice.
    this.#variable = tf.variable(tensor as tf.Tensor<R>);
    tensor.dispose();
  }

  #free(): void {
    this.#variable?.dispose();
    this.#variable = undefined;
  }

  async #bring(stored: StoredWeight): Promise<void> {
    const tensor = await stored.read();
    if (this.#stored === stored) this.#hold(tensor);
    else tensor.dispose(); // nobody waits for it any more
  }
}

interface StoredWeight {
  readonly read: () => Promise<tf.Tensor>;
  borrowers: number;
  reading: Promise<void> | undefined;
}
