import type * as tf from "@tensorflow/tfjs-core";
import type { Attribute, Binding, NodeBackend } from "./tensorflow-node.ts";

/** A tensor in TensorFlow's memory, by its number there. */
export type Id = number;

/** What operations take as tensors though it is always the same, like axes and shapes: made once, and then there to stay. */
const constants = new WeakMap<NodeBackend, Map<string, Id>>();

/**
 * Operations of TensorFlow on float32 one after another, with nothing of tfjs between them, where a kernel of twenty operations on
 * short tensors would spend most of its time. What they make is freed in the end, but for results.
 */
export class Operations {
  readonly #backend: NodeBackend;
  readonly #binding: Binding;
  readonly #made = new Map<Id, readonly number[]>();

  private constructor(backend: NodeBackend) {
    this.#backend = backend;
    this.#binding = backend.binding;
  }

  /** A kernel of tfjs that runs operations. */
  static kernel<Attributes>(
    act: (ops: Operations, inputs: tf.NamedTensorInfoMap, attributes: Attributes) => tf.TensorInfo | tf.TensorInfo[],
  ): tf.KernelFunc {
    return ({ inputs, backend, attrs }) => {
      const ops = new Operations(backend as NodeBackend);
      try {
        return act(ops, inputs, attrs as Attributes);
      } finally {
        for (const id of ops.#made.keys()) ops.#binding.deleteTensor(id);
      }
    };
  }

  /** The tensor behind one of tfjs. */
  of(tensor: tf.TensorInfo): Id {
    return this.#backend.getInputTensorIds([tensor])[0]!;
  }

  run(name: string, inputs: readonly Id[], attributes: readonly Attribute[] = []): Id {
    return this.call(name, inputs, [this.type("T"), ...attributes], 1)!;
  }

  /** Runs one whose attributes are all given, with one result or none. */
  call(name: string, inputs: readonly Id[], attributes: readonly Attribute[], results: 0 | 1): Id | undefined {
    const [made] = this.#binding.executeOp(name, attributes, inputs, results);
    if (made) this.#made.set(made.id, made.shape);
    return made?.id;
  }

  reshape(x: Id, shape: readonly number[]): Id {
    return this.run("Reshape", [x, this.integers(shape)], [this.type("Tshape", this.#binding.TF_INT32)]);
  }

  broadcast(x: Id, shape: readonly number[]): Id {
    return this.run("BroadcastTo", [x, this.integers(shape)], [this.type("Tidx", this.#binding.TF_INT32)]);
  }

  reduce(name: "Sum" | "Mean", x: Id, axes: readonly number[], { keepDims = true } = {}): Id {
    const keep = { name: "keep_dims", type: this.#binding.TF_ATTR_BOOL, value: keepDims };
    return this.run(name, [x, this.integers(axes)], [keep, this.type("Tidx", this.#binding.TF_INT32)]);
  }

  /** The sums over all axes but the last, which TensorFlow has a kernel of its own for: "Sum" takes up to six times as long. */
  columnSums(x: Id): Id {
    return this.run("BiasAddGrad", [x], [{ name: "data_format", type: this.#binding.TF_ATTR_STRING, value: "NHWC" }]);
  }

  type(name: string, value = this.#binding.TF_FLOAT): Attribute {
    return { name, type: this.#binding.TF_ATTR_TYPE, value };
  }

  integers(values: readonly number[]): Id {
    return this.constant(`integers ${values}`, (binding) =>
      binding.createTensor([values.length], binding.TF_INT32, Int32Array.from(values)),
    );
  }

  number(value: number): Id {
    return this.constant(`number ${value}`, (binding) =>
      binding.createTensor([], binding.TF_FLOAT, Float32Array.of(value)),
    );
  }

  /** What `make` makes when it is first asked for by this name. */
  constant(name: string, make: (binding: Binding) => Id): Id {
    const made = constants.get(this.#backend) ?? new Map<string, Id>();
    constants.set(this.#backend, made);
    const id = made.get(name) ?? make(this.#binding);
    made.set(name, id);
    return id;
  }

  /** Frees a large tensor before the end. */
  free(id: Id): void {
    this.#made.delete(id);
    this.#binding.deleteTensor(id);
  }

  /** A tensor of tfjs for what was made, which is not freed then. */
  result(id: Id): tf.TensorInfo {
    const shape = this.#made.get(id)!;
    this.#made.delete(id);
    const dataId = {};
    this.#backend.tensorMap.set(dataId, { id, shape, dtype: this.#binding.TF_FLOAT, values: null, refCount: 1 });
    return { dataId, shape: [...shape], dtype: "float32" };
  }
}
