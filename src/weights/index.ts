export { fromFloat32, toFloat32 } from "./dtypes.ts";
export { type LoadOptions, loadWeights, type SaveOptions, saveWeights } from "./load.ts";
export { withUsualNames } from "./names.ts";
export {
  decodeSafetensors,
  encodeSafetensors,
  type LazyTensor,
  openSafetensors,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from "./safetensors.ts";
export type { ByteRange, Dtype, StoredTensor, TensorEntry, WeightSource } from "./source.ts";
