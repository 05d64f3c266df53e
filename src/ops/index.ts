export { gelu, quickGelu, silu } from "./activations.ts";
export { scaledDotProductAttention } from "./attention.ts";
export { groupNorm } from "./group-norm.ts";
export { layerNorm } from "./layer-norm.ts";
