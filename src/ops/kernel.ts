import * as tf from "@tensorflow/tfjs-core";

/** The gradients by the inputs that are given, from them, from the output, and from what a composition kept for it. */
export type Gradient = (
  dy: tf.Tensor,
  inputs: tf.NamedTensorMap,
  y: tf.Tensor,
  kept: readonly tf.Tensor[],
) => Readonly<Record<string, tf.Tensor>>;

/** An operation that a backend may have one kernel for, with its gradient. */
interface Fused {
  /** The kernel's name. */
  kernel: string;
  inputs: Readonly<Record<string, tf.Tensor | undefined>>;
  attributes?: tf.NamedAttrMap;
  gradient: Gradient;
}

/**
 * Runs the kernel where the active backend has it, and a composition of tfjs's operations where not. Either way the gradient
 * is the one that is written for it: tfjs knows none of other kernels than its own, and what it makes of a composition keeps
 * and passes over several times as many large tensors.
 *
 * A backend may have a kernel for the gradient too, by the name with "Grad" behind it, which gives the gradients in the order of
 * the inputs. It is given `dy`, the inputs, and what the kernel returned behind its result, as `kept`, `kept1` and so on.
 */
export function kernelOr<T extends tf.Tensor>(
  { kernel, inputs, attributes = {}, gradient }: Fused,
  composition: () => T | [y: T, ...kept: tf.Tensor[]],
): T {
  const given = Object.entries(inputs).filter((entry): entry is [string, tf.Tensor] => entry[1] !== undefined);
  const named = (tensors: tf.Tensor[]) => Object.fromEntries(given.map(([name], i) => [name, tensors[i]!]));
  const runKernel = (name: string, tensors: tf.NamedTensorMap) =>
    [tf.engine().runKernel(name, tensors, attributes)].flat() as tf.Tensor[];
  const has = (name: string) => tf.getKernel(name, tf.getBackend()) !== undefined;

  const run = tf.customGrad((...parts) => {
    const save = parts.pop() as tf.GradSaveFunc;
    const tensors = parts as tf.Tensor[];
    const [value, ...kept] = has(kernel) ? runKernel(kernel, named(tensors)) : [composition()].flat();
    save([...tensors, value!, ...kept]);
    return {
      value: value!,
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        const [y, ...others] = saved.slice(given.length);
        if (has(`${kernel}Grad`)) {
          const forGradient = others.map((tensor, i) => [`kept${i || ""}`, tensor] as const);
          return runKernel(`${kernel}Grad`, { dy, ...named(saved), y: y!, ...Object.fromEntries(forGradient) });
        }
        const gradients = gradient(dy, named(saved), y!, others);
        return given.map(([name]) => gradients[name]!);
      },
    };
  });
  return run(...given.map(([, tensor]) => tensor)) as T;
}
