import { InputError } from "../errors.ts";
import { checkCount, type Generator, type Seed, seedBits } from "./generator.ts";
import { type Key, philox4x32 } from "./philox.ts";

const { fround } = Math;
const blockThreads = 256;
/** A launch grid of a GeForce RTX 4090: 128 multiprocessors of 1,536 threads. */
const commonGridThreads = 128 * 1536;

const uniformStep = fround(2 ** -32);
const angleStep = fround(2 ** -32 * fround(2 * Math.PI));

/**
 * PyTorch's generator of a CUDA device, computed here: the integers are those of its Philox4x32-10 kernel, the normals
 * are within 1e-6 of Box and Muller's transform (1958) as curand writes it. (A device's fast sine errs by nearly as
 * much.)
 *
 * Every thread of a launch grid draws with its own counter, so the numbers depend on the device where they are more
 * than its grid has threads: multiprocessors × resident threads of each (RTX 3060: 28 × 1,536; T4: 40 × 1,024; A100:
 * 108 × 2,048). Without `gridThreads`, a grid is taken to cover all numbers of a call, up to 196,608 (RTX 4090).
 */
export class TorchCudaGenerator implements Generator {
  private readonly key: Key;
  private readonly gridThreads: number | undefined;
  private offset = 0; // in calls of a thread, each of four numbers

  /** @throws InputError where the seed is not one that PyTorch takes, or `gridThreads` not a multiple of 256 */
  constructor(seed: Seed, { gridThreads }: { gridThreads?: number } = {}) {
    const bits = seedBits(seed);
    this.key = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
    if (gridThreads !== undefined && !(gridThreads > 0 && gridThreads % blockThreads === 0)) {
      throw new InputError(
        `gridThreads is ${gridThreads}: it must be multiprocessors × threads of each, a multiple of 256.`,
      );
    }
    this.gridThreads = gridThreads;
  }

  /**
   * `torch.randn(count, device="cuda")`.
   * @throws InputError where `count` is more than one launch grid of most devices covers and `gridThreads` was not given
   */
  randn(count: number): Float32Array<ArrayBuffer> {
    checkCount(count);
    if (this.gridThreads === undefined && count > commonGridThreads) {
      throw new InputError(
        `${count} random numbers of a CUDA device are more than one launch grid covers (${commonGridThreads}), so they ` +
          "depend on the device: give gridThreads, its multiprocessors × threads of each.",
      );
    }
    const values = new Float32Array(count);
    const blocks = Math.ceil(count / blockThreads);
    const threads = Math.min(blocks * blockThreads, this.gridThreads ?? commonGridThreads);
    for (let first = 0; first < count; first += 4 * threads) {
      const last = Math.min(first + threads, count);
      for (let i = first; i < last; i++) {
        // One call of curand_normal4: the four numbers of a thread lie a grid apart. Those past the end are dropped.
        const [a, b, c, d] = philox4x32([this.offset, 0, i - first, 0], this.key);
        [values[i], values[i + threads]] = boxMuller(a, b);
        if (i + 2 * threads < count) [values[i + 2 * threads], values[i + 3 * threads]] = boxMuller(c, d);
      }
      this.offset += 1;
    }
    return values;
  }
}

/** Two normals of 64 random bits, the sine first: curand's _curand_box_muller. */
function boxMuller(x: number, y: number): [number, number] {
  const uniform = fround(fround(x) * uniformStep + uniformStep / 2);
  const angle = fround(fround(y) * angleStep + angleStep / 2);
  const radius = Math.sqrt(-2 * Math.log(uniform));
  return [radius * Math.sin(angle), radius * Math.cos(angle)];
}
