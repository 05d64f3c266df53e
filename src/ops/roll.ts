import * as tf from "@tensorflow/tfjs-core";

/** Moves the entries along an axis; those that leave at one end come in at the other, as torch.roll does. */
export function roll<T extends tf.Tensor>(x: T, shift: number, axis: number): T {
  return tf.tidy(() => {
    const length = x.shape[axis]!;
    const cut = (((length - shift) % length) + length) % length;
    if (cut === 0) return tf.clone(x);
    // Not reversed in place: tfjs keeps this very list, to know later which gradient belongs to which part.
    return tf.concat(tf.split(x, [cut, length - cut], axis).toReversed(), axis) as T;
  });
}
