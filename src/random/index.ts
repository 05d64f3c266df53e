export type { Generator, Seed } from "./generator.ts";
export { type Counter, type Key, philox4x32 } from "./philox.ts";
export { TorchCpuGenerator } from "./torch-cpu.ts";
export { TorchCudaGenerator } from "./torch-cuda.ts";
