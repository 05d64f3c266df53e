import * as tf from "@tensorflow/tfjs-core";

/**
 * Does something to each weight: `act` is given tensors of one shape, and so are its results. A model has hundreds of biases and
 * gains, which are short, so that an operation on each takes longer than its numbers do: all vectors go as one long one.
 */
export function eachWeight(
  given: readonly (readonly tf.Tensor[])[],
  act: (tensors: readonly tf.Tensor[]) => tf.Tensor[],
): tf.Tensor[][] {
  const vectors = given.filter(([tensor]) => tensor!.rank === 1);
  const joined =
    vectors[0]?.map((_, part) => tf.concat1d(vectors.map((tensors) => tensors[part] as tf.Tensor1D))) ?? [];
  const sizes = vectors.map(([tensor]) => tensor!.size);
  const ofVectors = joined.length > 0 ? act(joined).map((result) => tf.split(result, sizes)) : [];
  let place = 0;
  return given.map((tensors) => {
    if (tensors[0]!.rank !== 1) return act(tensors);
    const own = place++;
    return ofVectors.map((results) => results[own]!);
  });
}
