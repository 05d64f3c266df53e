import type * as tf from "@tensorflow/tfjs-core";

// What of tfjs-node is used here: neither of its packages has to be installed, so its own types can't be asked for.

/** A tensor in TensorFlow's memory. */
export interface Handle {
  id: number;
  shape: readonly number[];
}

export interface Attribute {
  name: string;
  type: number;
  value: unknown;
}

/** TensorFlow's C interface, as the addon has it. Kinds of number are counted as TensorFlow counts them. */
export interface Binding {
  readonly TF_Version: string;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_INT64: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_SHAPE: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_TYPE: number;
  isUsingGpuDevice(): boolean;
  createTensor(shape: readonly number[], dtype: number, values: ArrayLike<number>): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): ArrayLike<number>;
  executeOp(name: string, attributes: readonly Attribute[], inputs: readonly number[], outputs: number): Handle[];
}

/** The tfjs backend. */
export interface NodeBackend extends tf.KernelBackend {
  binding: Binding;
  readonly tensorMap: tf.DataStorage<{
    id: number;
    shape: readonly number[];
    dtype: number;
    /** Numbers that TensorFlow has not been given yet. */
    values: ArrayLike<number> | null;
    refCount: number;
  }>;
  /** One more tensor of tfjs has this data. */
  incRef(dataId: tf.DataId): void;
  /** Gives TensorFlow what it has not been given yet. */
  getInputTensorIds(tensors: readonly { dataId: tf.DataId }[]): number[];
}
