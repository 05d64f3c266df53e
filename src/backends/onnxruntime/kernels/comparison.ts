import { binary, cast, operator, reshape, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import { choose } from "./words.ts";

// Questions, and what follows from their answers.

const compared = (type: string, a: Node, b: Node) => {
  const number = (x: Node) => (x.type === "bool" ? cast(x, "int32") : x);
  return binary(type, number(a), number(b), "bool");
};
const comparison =
  (type: string): Kernel =>
  ({ inputs: { a, b } }) =>
    compared(type, a!, b!);
const logical =
  (type: string): Kernel =>
  ({ inputs: { a, b } }) =>
    binary(type, cast(a!, "bool"), cast(b!, "bool"));
const question = (type: string, x: Node) =>
  x.type === "float32" ? operator(type, [x], { type: "bool", shape: x.shape }) : compared("Less", x, x);

export const comparisons: Kernels = {
  Equal: comparison("Equal"),
  NotEqual: ({ inputs: { a, b } }) => unary("Not", compared("Equal", a!, b!)),
  Greater: comparison("Greater"),
  GreaterEqual: comparison("GreaterOrEqual"),
  Less: comparison("Less"),
  LessEqual: comparison("LessOrEqual"),
  LogicalAnd: logical("And"),
  LogicalOr: logical("Or"),
  LogicalXor: logical("Xor"),
  LogicalNot: ({ x }) => unary("Not", cast(x, "bool")),
  IsNan: ({ x }) => question("IsNaN", x),
  IsInf: ({ x }) => question("IsInf", x),
  IsFinite: ({ x }) => unary("Not", binary("Or", question("IsNaN", x), question("IsInf", x))),
  Select: ({ inputs: { condition, t, e } }) => {
    const rank = t!.shape.length;
    // A list of answers for a tensor of higher rank chooses whole entries of its first axis.
    const isList = condition!.shape.length === 1 && rank > 1;
    const answers = isList ? reshape(condition!, [condition!.shape[0]!, ...Array(rank - 1).fill(1)]) : condition!;
    return choose(cast(answers, "bool"), t!, e!);
  },
  SearchSorted: ({ inputs: { sortedSequence, values }, attrs }) => {
    const [batch, length] = sortedSequence!.shape as [number, number];
    const count = values!.shape[1]!;
    const sorted = reshape(sortedSequence!, [batch, 1, length]);
    const wanted = reshape(values!, [batch, count, 1]);
    const isBefore = compared(attrs.side === "left" ? "Less" : "LessOrEqual", sorted, wanted);
    const axes = scalar(-1, "int64");
    const output = { type: "int32", shape: [batch, count] } as const;
    return operator("ReduceSum", [cast(isBefore, "int32"), reshape(axes, [1])], output, { keepdims: 0n });
  },
};
