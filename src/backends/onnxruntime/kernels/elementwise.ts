import { binary, broadcast, cast, operator, scalar, unary } from "../build.ts";
import type { Node } from "../graph.ts";
import type { Kernel, Kernels } from "../kernel.ts";
import type { ElementType } from "../onnx.ts";
import { sumInBlocks } from "./lasting-blocks.ts";
import { choose, isInfinite, isNan, isNegative, isZero, overIntegers } from "./words.ts";

// Arithmetic, and functions of one number.

const arithmetic =
  (type: string): Kernel =>
  ({ inputs: { a, b } }) =>
    overIntegers([a!, b!], ([left, right]) => binary(type, left!, right!));

/** A function of floats; other numbers become floats first. */
const float =
  (f: (x: Node) => Node): Kernel =>
  ({ x }) =>
    f(cast(x, "float32"));
const simple = (type: string): Kernel => float((x) => unary(type, x));

/** A function that leaves whole numbers as they are. */
const rounding =
  (type: string): Kernel =>
  ({ x }) =>
    x.type === "float32" ? unary(type, x) : x;

const one = () => scalar(1, "float32");
const half = () => scalar(0.5, "float32");

export const elementwise: Kernels = {
  Add: (call) => sumInBlocks(call.inputs.a!, call.inputs.b!) ?? arithmetic("Add")(call),
  Sub: arithmetic("Sub"),
  Multiply: arithmetic("Mul"),
  Maximum: arithmetic("Max"),
  Minimum: arithmetic("Min"),
  Pow: arithmetic("Pow"),
  RealDiv: ({ inputs: { a, b } }) => cast(binary("Div", cast(a!, "float32"), cast(b!, "float32")), a!.type),
  FloorDiv: ({ inputs: { a, b } }) => floorDivide(a!, b!),
  Mod: ({ inputs: { a, b } }) => modulo(a!, b!),
  SquaredDifference: ({ inputs: { a, b } }) => {
    const difference = binary("Sub", a!, b!);
    return binary("Mul", difference, difference);
  },
  Atan2: ({ inputs: { a, b } }) => angle(cast(a!, "float32"), cast(b!, "float32")),
  BitwiseAnd: ({ inputs: { a, b } }) => binary("BitwiseAnd", a!, b!),
  AddN: ({ list }) => list.reduce((sum, next) => binary("Add", sum, next)),
  Neg: ({ x }) => overIntegers([x], ([value]) => unary("Neg", value!)),
  Abs: ({ x }) => overIntegers([x], ([value]) => unary("Abs", value!)),
  Sign: ({ x }) => {
    const sign = overIntegers([x], ([value]) => unary("Sign", value!));
    return x.type === "float32" ? choose(isNan(x), scalar(0, "float32"), sign) : sign;
  },
  Square: ({ x }) => overIntegers([x], ([value]) => binary("Mul", value!, value!)),
  Ceil: rounding("Ceil"),
  Floor: rounding("Floor"),
  Round: rounding("Round"), // half to even, as in tfjs
  Exp: simple("Exp"),
  Expm1: float(expMinusOne),
  Log: simple("Log"),
  Log1p: float(logOnePlus),
  Sqrt: simple("Sqrt"),
  Rsqrt: float((x) => unary("Reciprocal", unary("Sqrt", x))),
  Reciprocal: simple("Reciprocal"),
  Sigmoid: simple("Sigmoid"),
  Erf: simple("Erf"),
  Sin: simple("Sin"),
  Cos: simple("Cos"),
  Tan: simple("Tan"),
  Asin: simple("Asin"),
  Acos: simple("Acos"),
  Atan: simple("Atan"),
  Sinh: simple("Sinh"),
  Cosh: simple("Cosh"),
  Tanh: simple("Tanh"),
  Asinh: simple("Asinh"),
  Acosh: simple("Acosh"),
  Atanh: simple("Atanh"),
  Relu: ({ x }) => unary("Relu", x),
  Relu6: ({ x }) => operator("Clip", [x, scalar(0, x.type), scalar(6, x.type)], x),
  LeakyRelu: ({ x, attrs }) => unary("LeakyRelu", cast(x, "float32"), { alpha: attrs.alpha }),
  Prelu: ({ inputs: { x, alpha } }) => {
    const [value, slope] = [cast(x!, "float32"), cast(alpha!, "float32")];
    return choose(isNegative(value), binary("Mul", value, slope), value);
  },
  Elu: simple("Elu"),
  EluGrad: ({ inputs: { dy, y } }) => choose(isNegative(y!), binary("Mul", dy!, binary("Add", y!, one())), dy!),
  Selu: simple("Selu"),
  Softplus: simple("Softplus"),
  Step: ({ x, attrs }) => {
    const isPositive = binary("Greater", x, scalar(0, x.type), "bool");
    const step = choose(isPositive, scalar(1, x.type), scalar(attrs.alpha, x.type));
    return x.type === "float32" ? choose(isNan(x), x, step) : step;
  },
  ClipByValue: ({ x, attrs }) => {
    const bounds = [attrs.clipValueMin, attrs.clipValueMax].map((bound) => scalar(within(bound, x.type), x.type));
    return operator("Clip", [x, ...bounds], x);
  },
  Identity: ({ x }) => x,
  Cast: ({ x, attrs }) => {
    if (attrs.dtype === "complex64" || attrs.dtype === "string") {
      throw new Error(`The backend "onnxruntime" has no numbers of type ${attrs.dtype}: only float32, int32 and bool.`);
    }
    return cast(x, attrs.dtype);
  },
};

/** A bound in numbers of a type: there is no infinite integer. */
function within(bound: number, type: ElementType): number {
  return type === "int32" ? Math.min(Math.max(bound, -(2 ** 31)), 2 ** 31 - 1) : bound;
}

/**
 * ⌊a ÷ b⌋. Whole numbers go through int64, where nothing overflows, and never meet a divisor of 0, at which the processor
 * would end the program: as in tfjs, the result is 0 there.
 */
function floorDivide(a: Node, b: Node): Node {
  if (a.type === "float32") return unary("Floor", binary("Div", a, b));
  const divisor = choose(isZero(b), scalar(1, b.type), b);
  const [left, right] = [cast(a, "int64"), cast(divisor, "int64")];
  const quotient = binary("Div", binary("Sub", left, binary("Mod", left, right)), right);
  return choose(isZero(b), scalar(0, "int32"), cast(quotient, "int32"));
}

/** a modulo b, with the sign of b; NaN, as in tfjs, where b is infinite and has another sign than a. */
function modulo(a: Node, b: Node): Node {
  if (a.type === "float32") {
    const remainder = operator("Mod", [a, b], { type: a.type, shape: broadcast(a.shape, b.shape) }, { fmod: 1n });
    const moved = choose(isZero(remainder), remainder, binary("Add", remainder, b));
    const differs = binary("Xor", isNegative(a), isNegative(b), "bool");
    return choose(differs, choose(isInfinite(b), scalar(Number.NaN, "float32"), moved), remainder);
  }
  const divisor = choose(isZero(b), scalar(1, b.type), b);
  const remainder = cast(binary("Mod", cast(a, "int64"), cast(divisor, "int64")), "int32");
  return choose(isZero(b), scalar(0, "int32"), remainder);
}

/** The angle of the point (x, y). */
function angle(y: Node, x: Node): Node {
  const isFar = binary("And", isInfinite(x), isInfinite(y), "bool");
  const ratio = choose(isFar, binary("Mul", unary("Sign", y), unary("Sign", x)), binary("Div", y, x));
  const slope = unary("Atan", ratio); // ±π/2 where x is 0 and y is not
  const pi = choose(isNegative(y), scalar(-Math.PI, "float32"), scalar(Math.PI, "float32"));
  const turned = choose(isNegative(x), binary("Add", slope, pi), slope);
  const isOrigin = binary("And", isZero(x), isZero(y), "bool");
  return choose(isOrigin, scalar(0, "float32"), turned);
}

/** eˣ − 1 with all digits near 0, by tanh. */
function expMinusOne(x: Node): Node {
  const t = unary("Tanh", binary("Mul", x, half()));
  const small = binary("Div", binary("Add", t, t), binary("Sub", one(), t));
  const isSmall = binary("Less", unary("Abs", x), one(), "bool");
  return choose(isSmall, small, binary("Sub", unary("Exp", x), one()));
}

/** log(1 + x) with all digits near 0: what 1 + x loses is made up for (Kahan). */
function logOnePlus(x: Node): Node {
  const sum = binary("Add", x, one());
  const log = unary("Log", sum);
  const added = binary("Sub", sum, one());
  const small = choose(isZero(added), x, binary("Div", binary("Mul", log, x), added));
  const isSmall = binary("Less", unary("Abs", x), half(), "bool");
  return choose(isSmall, small, log);
}
