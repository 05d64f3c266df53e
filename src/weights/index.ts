export { toFloat32 } from "./dtypes.ts";
export { type LoadOptions, loadWeights } from "./load.ts";
export { openSafetensors } from "./safetensors.ts";
export type { Dtype, TensorEntry, WeightSource } from "./source.ts";
