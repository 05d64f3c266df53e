// Logarithm, sine and cosine of Moshier's Cephes library in single precision, every rounding as in PyTorch's AVX2 code
// (ATen/native/cpu/avx_mathfun.h), where the compiler fuses multiplications and additions. Math.log and Math.cos give
// other last bits. For each of the 2²⁴ inputs that a generator can give, the results are those of that file as GCC
// compiles it.
const { fround } = Math;

/**
 * a·b + c, rounded once to single precision. The product is exact in double and the sum is rounded twice, which could
 * differ from a true fused multiply-add where the first rounding falls on a tie of the second. For those inputs it
 * never does.
 */
function fma(a: number, b: number, c: number): number {
  return fround(a * b + c);
}

/** The value at x of a polynomial whose coefficients stand with the highest power first. */
function polynomial(x: number, coefficients: Float32Array): number {
  let y = coefficients[0]!;
  for (let i = 1; i < coefficients.length; i++) y = fma(y, x, coefficients[i]!);
  return y;
}

const logCoefficients = Float32Array.of(
  ...[7.0376836292e-2, -1.151461031e-1, 1.167699874e-1, -1.2420140846e-1, 1.4249322787e-1],
  ...[-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1],
);
const sinCoefficients = Float32Array.of(-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1);
const cosCoefficients = Float32Array.of(2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2);

const sqrtHalf = fround(Math.SQRT1_2);
const ln2High = fround(0.693359375);
const ln2Low = fround(-2.1219444e-4);
const fourOverPi = fround(4 / Math.PI);
// π/4 in three parts, so that subtracting a multiple of it loses nothing.
const quarterPi1 = fround(0.78515625);
const quarterPi2 = fround(2.4187564849853516e-4);
const quarterPi3 = fround(3.774894977445941e-8);

const float = new Float32Array(1);
const bits = new Int32Array(float.buffer);

/** ln x of a positive, normal x. */
export function log(x: number): number {
  float[0] = x;
  let exponent = (bits[0]! >> 23) - 126;
  bits[0] = (bits[0]! & 0x807fffff) | 0x3f000000; // the mantissa, in [½, 1)
  const mantissa = float[0]!;
  let f = fround(mantissa - 1);
  if (mantissa < sqrtHalf) {
    exponent -= 1;
    f = fround(f + mantissa);
  }
  const square = fround(f * f);
  let y = fround(polynomial(f, logCoefficients) * f);
  y = fma(y, square, fround(exponent * ln2Low));
  y = fma(square, -0.5, y);
  return fma(exponent, ln2High, fround(f + y));
}

/** [sin x, cos x] of an x from 0 to 2π. */
export function sinCos(x: number): [number, number] {
  const octant = (Math.trunc(fround(x * fourOverPi)) + 1) & ~1;
  const r = fma(octant, -quarterPi3, fma(octant, -quarterPi2, fma(octant, -quarterPi1, x)));
  const swapped = (octant & 2) !== 0;
  const sin = swapped ? cosNearZero(r) : sinNearZero(r);
  const cos = swapped ? sinNearZero(r) : cosNearZero(r);
  return [octant & 4 ? -sin : sin, (octant + 2) & 4 ? -cos : cos];
}

/** sin x of an x within ±π/4. */
function sinNearZero(x: number): number {
  const square = fround(x * x);
  return fma(fround(polynomial(square, sinCoefficients) * square), x, x);
}

/** cos x of an x within ±π/4. */
function cosNearZero(x: number): number {
  const square = fround(x * x);
  const y = fround(polynomial(square, cosCoefficients) * square);
  return fround(fma(y, square, -square / 2) + 1);
}
