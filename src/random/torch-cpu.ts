import { log, sinCos } from "./cephes.ts";
import { checkCount, type Generator, type Seed, seedBits } from "./generator.ts";
import { Mt19937 } from "./mt19937.ts";

const { fround } = Math;
const twoPi = fround(2 * Math.PI);

/**
 * PyTorch's generator of the CPU: the same seed gives the same numbers, bit for bit, as
 * `torch.Generator().manual_seed(seed)` on an x86-64 processor with AVX2 or AVX-512. (On others, PyTorch itself differs
 * in last bits.) The low 32 bits of the seed seed a Mersenne Twister; `randn` is Box and Muller's transform (1958) of
 * its draws.
 */
export class TorchCpuGenerator implements Generator {
  private readonly engine: Mt19937;
  private spare: number | undefined; // the sine of a pair whose cosine was asked for; calls for 16 or more pass it over

  /** @throws InputError where the seed is not one that PyTorch takes */
  constructor(seed: Seed) {
    this.engine = new Mt19937(Number(seedBits(seed) & 0xffffffffn));
  }

  /** `torch.rand(count)`: uniform in [0, 1), in steps of 2⁻²⁴. */
  rand(count: number): Float32Array<ArrayBuffer> {
    checkCount(count);
    const values = new Float32Array(count);
    this.fillUniform(values);
    return values;
  }

  /** `torch.randn(count)`. PyTorch has two ways to draw, one for fewer than 16 numbers. */
  randn(count: number): Float32Array<ArrayBuffer> {
    checkCount(count);
    if (count < 16) return Float32Array.from({ length: count }, () => this.nextNormal());
    const values = new Float32Array(count);
    this.fillUniform(values);
    for (let i = 0; i + 16 <= count; i += 16) boxMuller(values.subarray(i, i + 16));
    if (count % 16 !== 0) {
      // What is left over is not transformed: the last 16 are drawn anew, over some that were done.
      const last = values.subarray(count - 16);
      this.fillUniform(last);
      boxMuller(last);
    }
    return values;
  }

  private fillUniform(values: Float32Array): void {
    for (let i = 0; i < values.length; i++) values[i] = (this.engine.next() & 0xffffff) / 2 ** 24;
  }

  /** One number in double precision; every second one is the spare of the one before. */
  private nextNormal(): number {
    const spare = this.spare;
    this.spare = undefined;
    if (spare !== undefined) return spare;
    const angle = 2 * Math.PI * this.nextDouble();
    const radius = Math.sqrt(-2 * Math.log1p(-this.nextDouble()));
    this.spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** 53 bits of two draws, in [0, 1). */
  private nextDouble(): number {
    const high = this.engine.next() & 0x1fffff;
    return (high * 2 ** 32 + this.engine.next()) / 2 ** 53;
  }
}

/** 16 uniform numbers to 16 normal ones, in place: the first eight give radii, the last eight angles. */
function boxMuller(x: Float32Array): void {
  for (let i = 0; i < 8; i++) {
    const radius = fround(Math.sqrt(fround(-2 * log(fround(1 - x[i]!)))));
    const [sin, cos] = sinCos(fround(twoPi * x[i + 8]!));
    x[i] = radius * cos + 0; // torch adds a mean of 0, which makes −0 a 0
    x[i + 8] = radius * sin + 0;
  }
}
