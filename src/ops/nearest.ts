/**
 * Which of `inLength` places each of `outLength` takes its value from, as PyTorch's `interpolate(mode="nearest")` has it:
 * ⌊i · in / out⌋ in the single precision of its kernels. 82 places of 2 begin their second half at 42.
 */
export function nearestSources(inLength: number, outLength: number): Int32Array {
  const scale = Math.fround(inLength / outLength);
  const source = (i: number) => Math.min(inLength - 1, Math.floor(Math.fround(i * scale)));
  return Int32Array.from({ length: outLength }, (_, i) => source(i));
}
