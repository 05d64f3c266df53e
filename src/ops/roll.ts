import * as tf from "@tensorflow/tfjs-core";

/** Moves the entries along an axis; those that leave at one end come in at the other, as torch.roll does. */
export function roll<T extends tf.Tensor>(x: T, shift: number, axis: number): T {
  return tf.tidy(() => {
    const length = x.shape[axis]!;
    const cut = (((length - shift) % length) + length) % length;
    if (cut === 0) return tf.clone(x);
    return tf.concat(tf.split(x, [cut, length - cut], axis).reverse(), axis) as T;
  });
}
