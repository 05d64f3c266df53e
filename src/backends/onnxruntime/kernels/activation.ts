import { operator, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { KernelCall } from "../kernel.ts";

/** What tfjs's fused kernels add to a product: a bias, and a function of each number. */
export function biasAndActivation(y: Node, { inputs, attrs }: KernelCall): Node {
  const { bias, preluActivationWeights } = inputs;
  const sum = bias ? operator("Add", [y, bias], y) : y;
  switch (attrs.activation ?? "linear") {
    case "linear":
      return sum;
    case "relu":
      return unary("Relu", sum);
    case "elu":
      return unary("Elu", sum);
    case "sigmoid":
      return unary("Sigmoid", sum);
    case "relu6":
      return operator("Clip", [sum, scalar(0, sum.type), scalar(6, sum.type)], sum);
    case "leakyrelu":
      return unary("LeakyRelu", sum, { alpha: attrs.leakyreluAlpha });
    case "prelu":
      return operator("PRelu", [sum, preluActivationWeights], sum);
    default:
      throw new Error(`The activation ${attrs.activation} is not known to the backend "onnxruntime".`);
  }
}
