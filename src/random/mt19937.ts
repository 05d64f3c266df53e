const n = 624;
const m = 397;

/** The 32-bit Mersenne Twister of Matsumoto and Nishimura (1998), seeded as in their mt19937ar.c of 2002. */
export class Mt19937 {
  private readonly state = new Uint32Array(n);
  private position = n;

  /** @param seed 32 bits, unsigned */
  constructor(seed: number) {
    this.state[0] = seed;
    for (let i = 1; i < n; i++) {
      const previous = this.state[i - 1]!;
      this.state[i] = Math.imul(1812433253, previous ^ (previous >>> 30)) + i;
    }
  }

  /** The next 32 bits, unsigned. */
  next(): number {
    if (this.position === n) this.twist();
    let y = this.state[this.position++]!;
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const x = this.state;
    for (let i = 0; i < n; i++) {
      const y = (x[i]! & 0x80000000) | (x[(i + 1) % n]! & 0x7fffffff);
      x[i] = x[(i + m) % n]! ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.position = 0;
  }
}
