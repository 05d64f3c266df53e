import { seedBits } from "../random/generator.ts";
import { type Generator, type Seed, TorchCpuGenerator, TorchCudaGenerator } from "../random/index.ts";
import type { TensorData } from "./tensor-data.ts";

/** Whose numbers the noise is: those of PyTorch on a processor, or on a CUDA device. */
export type GeneratorName = "cpu" | "cuda";

/**
 * The seeds of a batch: picture i has seed + i, as diffusers gives with a list of generators.
 * @throws InputError where PyTorch does not take one of them
 */
export function seedsFrom(seed: Seed, count: number): Seed[] {
  seedBits(seed);
  const seeds = Array.from({ length: count }, (_, i) =>
    typeof seed === "number" && Number.isSafeInteger(seed + i) ? seed + i : BigInt(seed) + BigInt(i),
  );
  seedBits(seeds.at(-1)!);
  return seeds;
}

/** A seed that nobody chose, below 2³². */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}

export function generatorOf(name: GeneratorName, seed: Seed): Generator {
  return name === "cpu" ? new TorchCpuGenerator(seed) : new TorchCudaGenerator(seed);
}

/** `torch.randn(shape, generator)` */
export function randn(generator: Generator, shape: readonly number[]): TensorData {
  return { shape, data: generator.randn(shape.reduce((product, length) => product * length, 1)) };
}
