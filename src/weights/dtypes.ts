import { fromHalves, toHalves } from "../float16.ts";
import { bytesOf, type Dtype } from "./source.ts";

/**
 * Stored bytes as float32 values, rounded once to the nearest where float32 cannot hold them. The values may share
 * their memory with the bytes.
 */
export function toFloat32(bytes: Uint8Array, dtype: Dtype): Float32Array {
  const { buffer, byteOffset, byteLength } = aligned(bytes, bytesOf[dtype]);
  const length = byteLength / bytesOf[dtype];
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer, byteOffset, length);
    case "F64":
      return new Float32Array(new Float64Array(buffer, byteOffset, length));
    case "F16":
      return fromHalves(new Uint16Array(buffer, byteOffset, length));
    case "BF16":
      return fromBrainFloats(new Uint16Array(buffer, byteOffset, length));
    case "I32":
      return new Float32Array(new Int32Array(buffer, byteOffset, length));
    case "I64":
      return fromLongs(new Int32Array(buffer, byteOffset, 2 * length));
    case "U8":
      return new Float32Array(new Uint8Array(buffer, byteOffset, length));
    case "BOOL":
      return Float32Array.from(new Uint8Array(buffer, byteOffset, length), (value) => (value ? 1 : 0));
  }
}

/**
 * Float32 values as stored bytes: floats rounded to the nearest, ties to even, beyond the largest to infinity. The
 * bytes may share their memory with the values.
 *
 * @throws RangeError where a whole number cannot hold a value exactly.
 */
export function fromFloat32(values: Float32Array, dtype: Dtype): Uint8Array {
  const stored = numbers(values, dtype);
  return new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength);
}

function numbers(values: Float32Array, dtype: Dtype): ArrayBufferView {
  switch (dtype) {
    case "F32":
      return values;
    case "F64":
      return new Float64Array(values);
    case "F16":
      return toHalves(values);
    case "BF16":
      return toBrainFloats(values);
    case "I32":
      return new Int32Array(whole(values, dtype, -(2 ** 31), 2 ** 31));
    case "I64":
      return BigInt64Array.from(Array.from(whole(values, dtype, -(2 ** 63), 2 ** 63), BigInt));
    case "U8":
      return new Uint8Array(whole(values, dtype, 0, 256));
    case "BOOL":
      return new Uint8Array(whole(values, dtype, 0, 2));
  }
}

/** Whether none is infinite or not a number. */
export function areFinite(values: Float32Array | Float64Array): boolean {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0; // NaN as soon as one value is not finite
  return sum === 0;
}

/** Whether no stored number is infinite or not a number. */
export function isFiniteStored(bytes: Uint8Array, dtype: Dtype): boolean {
  if (dtype !== "F64") return areFinite(toFloat32(bytes, dtype));
  const { buffer, byteOffset, byteLength } = aligned(bytes, 8);
  return areFinite(new Float64Array(buffer, byteOffset, byteLength / 8)); // float32 might be too small for it
}

/** Typed arrays of wide numbers begin at multiples of their width. */
function aligned(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes); // not `slice`, which copies no Buffer
}

function whole(values: Float32Array, dtype: Dtype, least: number, beyond: number): Float32Array {
  for (const value of values) {
    if (!Number.isInteger(value) || value < least || value >= beyond) {
      throw new RangeError(`${dtype} can't hold ${value}.`);
    }
  }
  return values;
}

/** bfloat16 is the upper half of a float32. */
function fromBrainFloats(upper: Uint16Array): Float32Array {
  const bits = new Uint32Array(upper.length);
  for (let i = 0; i < upper.length; i++) bits[i] = upper[i]! << 16;
  return new Float32Array(bits.buffer);
}

function toBrainFloats(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const upper = new Uint16Array(values.length);
  for (let i = 0; i < upper.length; i++) {
    const isNotANumber = (bits[i]! & 0x7fffffff) > 0x7f800000;
    const isOdd = (bits[i]! >>> 16) & 1;
    upper[i] = isNotANumber ? 0x7fc0 : (bits[i]! + 0x7fff + isOdd) >>> 16;
  }
  return upper;
}

/** From pairs of 32 bits, the lower first. */
function fromLongs(words: Int32Array): Float32Array {
  const values = new Float32Array(words.length / 2);
  for (let i = 0; i < values.length; i++) {
    const low = words[2 * i]! >>> 0;
    const high = words[2 * i + 1]!;
    // A double can't hold 64 bits, and rounding twice can go wrong: the last 12 bits only say whether there is a rest.
    const kept = Math.abs(high) < 2 ** 20 ? low : (low & ~0xfff) + (low & 0xfff ? 0x800 : 0);
    values[i] = high * 2 ** 32 + (kept >>> 0);
  }
  return values;
}
