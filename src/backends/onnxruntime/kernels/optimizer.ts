import { binary, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernels } from "../kernel.ts";

// A kernel for what training does to each weight: tfjs's way from one operation to the next takes longer than they do.

export const optimizer: Kernels = {
  /** A weight and its moments after a step: what src/training/adam-w.ts composes where there is no kernel. */
  AdamW: ({ inputs, attrs: { beta1, beta2 } }) => {
    const { weight, first, second, gradient, rate, eps, kept } = inputs as unknown as AdamWInputs;
    const times = (x: Node, factor: number) => binary("Mul", x, scalar(factor, "float32"));
    const mean = binary("Add", times(first, beta1), times(gradient, 1 - beta1));
    const square = binary("Mul", gradient, gradient);
    const meanSquare = binary("Add", times(second, beta2), times(square, 1 - beta2));
    const deviation = binary("Add", unary("Sqrt", meanSquare), eps);
    const update = binary("Mul", binary("Div", mean, deviation), rate);
    return [binary("Sub", kept ? binary("Mul", weight, kept) : weight, update), mean, meanSquare];
  },
};

interface AdamWInputs {
  weight: Node;
  first: Node;
  second: Node;
  gradient: Node;
  rate: Node;
  eps: Node;
  /** Where the weight decays, what is left of it. */
  kept?: Node;
}
