// float16, IEEE 754's binary16: 1 bit of sign, 5 of exponent, 10 of fraction. JavaScript has no array of them yet.

function numberOf(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}

let numbers: Float32Array | undefined;

/** The numbers that some bits stand for. */
export function fromHalves(halves: Uint16Array): Float32Array {
  numbers ??= Float32Array.from({ length: 65536 }, (_, half) => numberOf(half));
  const values = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) values[i] = numbers[halves[i]!]!;
  return values;
}

const half = new Float32Array([0.5]);
const halfBits = new Uint32Array(half.buffer)[0]!;

/** The bits of the nearest numbers, ties to even, beyond the largest infinity. */
export function toHalves(values: Float32Array): Uint16Array<ArrayBuffer> {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  const sum = new Float32Array(1);
  const sumBits = new Uint32Array(sum.buffer);
  for (let i = 0; i < halves.length; i++) {
    const magnitude = bits[i]! & 0x7fffffff;
    let stored: number;
    if (magnitude > 0x7f800000)
      stored = 0x7e00; // not a number
    else if (magnitude >= 0x47800000)
      stored = 0x7c00; // 65536 and more: infinity
    else if (magnitude < 0x38800000) {
      // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴, the spacing of floats at 0.5: adding 0.5 rounds to one, ties to even.
      sum[0] = Math.abs(values[i]!) + 0.5;
      stored = sumBits[0]! - halfBits;
    } else {
      const isOdd = (magnitude >> 13) & 1;
      // A carry out of the fraction raises the exponent, as it must.
      stored = (magnitude - (112 << 23) + 0xfff + isOdd) >> 13;
    }
    halves[i] = ((bits[i]! >>> 16) & 0x8000) | stored;
  }
  return halves;
}
