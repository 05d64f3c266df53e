import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { type Layer, parameters } from "../src/layers/index.ts";
import { TorchCpuGenerator } from "../src/random/index.ts";
import { fromFloat32, type LazyTensor, writeSafetensors } from "../src/weights/index.ts";

export type Stored = "F32" | "F16" | "BF16";

/**
 * A million normal numbers, drawn once; every tensor takes them from another place on, so that no two are equal: ONNX Runtime
 * keeps equal ones only once.
 */
const normals = new TorchCpuGenerator(0).randn(2 ** 20);

/**
 * Writes random weights for a model, under their names and in PyTorch's layout, a piece at a time. They are drawn so that
 * activations keep their size: normal with variance 1 / inputs, gains 1, biases 0. The same model gets the same weights.
 */
export async function writeRandomWeights(model: Layer, path: string, dtype: Stored = "F32"): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const tensors = Array.from(parameters(model), ([name, { shape }]): LazyTensor => {
    return { name, shape, dtype, pieces: () => pieces(shape, name, dtype) };
  });
  await writeSafetensors(path, tensors, { metadata: { format: "pt" } });
}

function* pieces(shape: readonly number[], name: string, dtype: Stored): Generator<Uint8Array> {
  const size = shape.reduce((product, length) => product * length, 1);
  const isMatrix = shape.length > 1;
  const scale = isMatrix ? 1 / Math.sqrt(size / shape[0]!) : 0;
  const shift = !isMatrix && name.endsWith("weight") ? 1 : 0;
  const place = placeOf(name);
  for (let start = 0; start < size; start += normals.length) {
    const length = Math.min(normals.length, size - start);
    const first = (place + start) % normals.length;
    const values = new Float32Array(length);
    for (let i = 0; i < length; i++) values[i] = shift + scale * normals[(first + i) & (normals.length - 1)]!;
    yield fromFloat32(values, dtype);
  }
}

/** FNV-1a, a hash. */
function placeOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193) >>> 0;
  return hash;
}
