export type { ConversionReport, ConvertedFile } from "./conversion-report.ts";
export { type ConvertOptions, type ConvertProgress, convertFolder } from "./convert.ts";
export type { ConvertedTensor, StorageChoice } from "./convert-weights.ts";
export { fromFloat32, toFloat32 } from "./dtypes.ts";
export { checkWeights, type LoadOptions, loadWeights, type SaveOptions, saveWeights } from "./load.ts";
export { mapsWeights } from "./map.ts";
export { type Component, type ModelFolder, openModelFolder } from "./model-folder.ts";
export { withUsualNames } from "./names.ts";
export { openWeights } from "./open.ts";
export { partOf } from "./part.ts";
export {
  type ByteSource,
  decodeSafetensors,
  encodeSafetensors,
  type LazyTensor,
  openSafetensors,
  openSafetensorsIn,
  type WriteSafetensorsOptions,
  writeSafetensors,
} from "./safetensors.ts";
export { openShards } from "./shards.ts";
export type { ByteRange, Dtype, StoredTensor, TensorEntry, WeightSource } from "./source.ts";
