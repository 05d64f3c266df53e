import { binary, cast, operator, reshape, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";
import { fed } from "./words.ts";

// tfjs makes its random numbers itself; only drawing from a distribution that is a tensor is left to a backend.

export const random: Kernels = {
  Multinomial: ({ inputs: { logits }, attrs }) => {
    const { numSamples, seed, normalized } = attrs as { numSamples: number; seed: number; normalized: boolean };
    const [batch, events] = logits!.shape as [number, number];
    const probabilities = normalized ? logits! : unary("Softmax", logits!, { axis: -1n });
    const sums = operator("CumSum", [probabilities, scalar(1, "int64")], probabilities);
    const draws = fed(uniform(batch * numSamples, seed), "float32", [batch, numSamples, 1]);
    const isPassed = binary("GreaterOrEqual", draws, reshape(sums, [batch, 1, events]), "bool");
    return atMost(events - 1, countTrue(isPassed));
  },
};

/** How many hold, along the last axis. */
function countTrue(answers: Node): Node {
  const output = { type: "int32", shape: answers.shape.slice(0, -1) } as const;
  const axes = reshape(scalar(-1, "int64"), [1]);
  return operator("ReduceSum", [cast(answers, "int32"), axes], output, { keepdims: 0n });
}

/** The sums may end a little below 1: what is drawn beyond belongs to the last event. */
function atMost(limit: number, x: Node): Node {
  return binary("Min", x, scalar(limit, x.type));
}

/** Numbers in [0, 1) (mulberry32). */
function uniform(count: number, seed: number): Float32Array {
  let state = Math.floor(seed * (Number.isInteger(seed) ? 1 : 2 ** 32)) | 0;
  return new Float32Array(count).map(() => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 8) / 2 ** 24;
  });
}
