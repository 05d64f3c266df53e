import type { Dtype } from "./source.ts";

/** Stored bytes as float32 values, exactly where float32 can hold them. */
export function toFloat32(bytes: Uint8Array, dtype: Dtype): Float32Array {
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  switch (dtype) {
    case "F32":
      return new Float32Array(bytes.slice().buffer);
    case "I64":
      return Float32Array.from({ length: byteLength / 8 }, (_, i) => Number(view.getBigInt64(8 * i, true)));
    default:
      throw new Error(`${dtype} is not read yet`);
  }
}
