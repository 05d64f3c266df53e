import { InputError } from "../errors.ts";

/** A whole number from −2⁶³ to 2⁶⁴ − 1. Beyond ±(2⁵³ − 1) a `number` is no longer exact, so it must be a `bigint`. */
export type Seed = number | bigint;

/** A source of noise that goes on where its last call ended, as a `torch.Generator` does. */
export interface Generator {
  /** `torch.randn(shape)` of `count` elements, in PyTorch's order: of a [B, C, H, W] latent, W runs fastest. */
  randn(count: number): Float32Array<ArrayBuffer>;
}

/**
 * A seed as the 64 bits that PyTorch keeps of it: negative ones in two's complement.
 * @throws InputError where it is no whole number, or outside of what `torch.Generator.manual_seed` takes
 */
export function seedBits(seed: Seed): bigint {
  if (typeof seed !== "bigint" && !Number.isSafeInteger(seed)) {
    throw new InputError(
      `The seed ${String(seed)} is not usable: it must be a whole number, a bigint beyond ±(2^53 - 1).`,
    );
  }
  const value = BigInt(seed);
  if (value < -(2n ** 63n) || value >= 2n ** 64n) {
    throw new InputError(`The seed ${value} is out of range: PyTorch takes seeds from -2^63 to 2^64 - 1.`);
  }
  return BigInt.asUintN(64, value);
}

/** @throws InputError where `count` is no number of elements */
export function checkCount(count: number): void {
  if (!Number.isSafeInteger(count) || count < 0) {
    throw new InputError(`Cannot draw ${String(count)} numbers: the count must be a whole number, at least 0.`);
  }
}
