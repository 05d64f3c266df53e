import * as tf from "@tensorflow/tfjs-core";

/** An operation that a backend may have one kernel for. */
interface Fused {
  /** The kernel's name. */
  kernel: string;
  inputs: Readonly<Record<string, tf.Tensor | undefined>>;
  attributes?: tf.NamedAttrMap;
  /** The gradients by the inputs that are given. tfjs knows none for kernels that are not its own. */
  gradient: (dy: tf.Tensor, inputs: tf.NamedTensorMap) => Readonly<Record<string, tf.Tensor>>;
}

/** Runs the kernel where the active backend has it, and a composition of tfjs's operations where not. */
export function kernelOr<T extends tf.Tensor>(
  { kernel, inputs, attributes = {}, gradient }: Fused,
  composition: () => T,
): T {
  if (!tf.getKernel(kernel, tf.getBackend())) return tf.tidy(composition);
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const named = (tensors: tf.Tensor[]) => Object.fromEntries(given.map(([name], i) => [name, tensors[i]!]));

  const run = tf.customGrad((...parts) => {
    const save = parts.pop() as tf.GradSaveFunc;
    const tensors = parts as tf.Tensor[];
    save(tensors);
    return {
      value: tf.engine().runKernel(kernel, named(tensors), attributes) as tf.Tensor,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const gradients = gradient(dy, named(saved));
        return given.map(([name]) => gradients[name]!);
      },
    };
  });
  return run(...given.map(([, tensor]) => tensor)) as T;
}
