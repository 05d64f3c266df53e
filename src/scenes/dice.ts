import { TorchCpuGenerator } from "../random/index.ts";

/** Random choices that follow from a seed and a number alone, so that the i-th scene needs none of those before it. */
export class Dice {
  readonly #generator: TorchCpuGenerator;

  constructor(seed: number, index: number) {
    this.#generator = new TorchCpuGenerator(mixed(mixed(seed) + index));
  }

  /** Uniform in [0, 1). */
  roll(): number {
    return this.#generator.rand(1)[0]!;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.roll();
  }

  /** Whether something happens that happens `share` of the times. */
  chance(share: number): boolean {
    return this.roll() < share;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.roll() * items.length)]!;
  }

  /** The items in another order (Fisher and Yates). */
  shuffle<Item>(items: readonly Item[]): Item[] {
    const order = [...items];
    for (let i = order.length - 1; i > 0; i--) {
      const j = Math.floor(this.roll() * (i + 1));
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

/** MurmurHash3's finalizer (Appleby 2011): every bit of the result depends on every bit given. */
function mixed(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
