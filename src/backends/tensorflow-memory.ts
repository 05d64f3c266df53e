import * as tf from "@tensorflow/tfjs-core";
import { MemoryError } from "../errors.ts";
import { type FilePlace, readTensor, type StoredTensor } from "./tensorflow-files.ts";
import type { Binding, NodeBackend } from "./tensorflow-node.ts";

/** Bytes from which it matters where an array is. */
const large = 2 ** 20;

const prepared = new WeakSet<tf.KernelBackend>();

/** Has the active backend, which is tfjs-node's, hold each number once, read weights by itself, and say so where memory is short. */
export function keepMemorySmall(): void {
  const backend = tf.backend() as NodeBackend;
  if (prepared.has(backend)) return;
  prepared.add(backend);
  backend.binding = withPlainErrors(backend.binding);

  // tfjs-node keeps an array in JavaScript until an operation wants it. So a model's weights would all be there, and in
  // TensorFlow's memory besides, when it has run for the first time.
  const { write } = backend;
  backend.write = (values, shape, dtype) => {
    const dataId = write.call(backend, values, shape, dtype);
    if (tf.util.isTypedArray(values) && values.byteLength >= large) backend.getInputTensorIds([{ dataId }]);
    return dataId;
  };

  // A file's bytes are in the processor's memory: an operation on them would first move the whole file to the GPU.
  if (backend.binding.isUsingGpuDevice()) return;
  Object.assign(backend, {
    mapTensor: (place: FilePlace, stored: StoredTensor) => readTensor(backend, place, stored),
  });
}

/** The same binding, whose calls throw a MemoryError where memory is short. */
function withPlainErrors(binding: Binding): Binding {
  const plain =
    <In extends unknown[], Out>(call: (...inputs: In) => Out) =>
    (...inputs: In): Out => {
      try {
        return call(...inputs);
      } catch (error) {
        throw shortMemory(error as Error, binding.isUsingGpuDevice() ? "GPU" : "processor") ?? error;
      }
    };
  return Object.create(binding, {
    createTensor: { value: plain(binding.createTensor) },
    executeOp: { value: plain(binding.executeOp) },
  }) as Binding;
}

/** What TensorFlow says of memory that is short, in a plain sentence; undefined of everything else. */
function shortMemory({ message }: Error, device: "GPU" | "processor"): MemoryError | undefined {
  if (!/\bOOM\b|out of memory|RESOURCE_EXHAUSTED|failed to allocate/i.test(message)) return undefined;
  const shape = /shape ?\[([\d,]+)\]/.exec(message)?.[1]?.replaceAll(",", " × ");
  const tensor = shape ? `a tensor of ${shape} numbers` : "what is being computed";
  const smaller = "try a smaller picture, fewer pictures at a time, another backend";
  return new MemoryError(
    device === "GPU"
      ? `The memory of the GPU is too small for ${tensor}: ${smaller}, or a GPU with more memory. CUDA_VISIBLE_DEVICES=-1 has the processor compute.`
      : `TensorFlow finds no memory for ${tensor}: ${smaller}, or a machine with more memory.`,
  );
}
