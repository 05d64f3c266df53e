import * as tf from "@tensorflow/tfjs-core";

/**
 * A place for a weight. It holds no memory until a value is assigned.
 *
 * `shape` is PyTorch's, as it stands in checkpoints. `axes` says where PyTorch's axes stand in `value`, when the two
 * differ: convolution filters are [out, in, height, width] there and [height, width, in, out] in tfjs.
 */
export class Parameter<R extends tf.Rank = tf.Rank> {
  readonly shape: readonly number[];
  readonly axes: readonly number[];
  #variable: tf.Variable<R> | undefined;

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

  /** The weight, in tfjs's layout. @throws Error where none was loaded. */
  get value(): tf.Tensor<R> {
    if (!this.#variable)
      throw new Error(`A parameter of shape [${this.shape}] has no value: load the model's weights first.`);
    return this.#variable;
  }

  /** Takes over a tensor of `valueShape`; the caller gives it up. An earlier value is freed. */
  assign(tensor: tf.Tensor): void {
    if (!tf.util.arraysEqual(tensor.shape, this.valueShape)) {
      throw new Error(`A parameter of shape [${this.valueShape}] can't take a tensor of shape [${tensor.shape}].`);
    }
    this.dispose();
    // A variable outlives every tidy. It is left unnamed: tfjs's variable names are global, and a model may be made twice.
    this.#variable = tf.variable(tensor as tf.Tensor<R>);
    tensor.dispose();
  }

  dispose(): void {
    this.#variable?.dispose();
    this.#variable = undefined;
  }
}
