import * as tf from "@tensorflow/tfjs-core";

/** An operation that a backend may have one kernel for, with its gradient. */
interface Fused {
  /** The kernel's name. */
  kernel: string;
  inputs: Readonly<Record<string, tf.Tensor | undefined>>;
  attributes?: tf.NamedAttrMap;
  /** The gradients by the inputs that are given, from them and from the output. */
  gradient: (dy: tf.Tensor, inputs: tf.NamedTensorMap, y: tf.Tensor) => Readonly<Record<string, tf.Tensor>>;
}

/**
 * Runs the kernel where the active backend has it, and a composition of tfjs's operations where not. Either way the gradient
 * is the one that is written for it: tfjs knows none of other kernels than its own, and what it makes of a composition keeps
 * and passes over several times as many large tensors.
 */
export function kernelOr<T extends tf.Tensor>(
  { kernel, inputs, attributes = {}, gradient }: Fused,
  composition: () => T,
): T {
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const named = (tensors: tf.Tensor[]) => Object.fromEntries(given.map(([name], i) => [name, tensors[i]!]));
  const hasKernel = tf.getKernel(kernel, tf.getBackend()) !== undefined;

  const run = tf.customGrad((...parts) => {
    const save = parts.pop() as tf.GradSaveFunc;
    const tensors = parts as tf.Tensor[];
    const value = hasKernel ? (tf.engine().runKernel(kernel, named(tensors), attributes) as tf.Tensor) : composition();
    save([...tensors, value]);
    return {
      value,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const gradients = gradient(dy, named(saved), saved.at(-1)!);
        return given.map(([name]) => gradients[name]!);
      },
    };
  });
  return run(...given.map(([, tensor]) => tensor)) as T;
}
