export {
  type ActivationName,
  activationNames,
  activations,
  gelu,
  geluTanh,
  quickGelu,
  silu,
} from "./activations.ts";
export { type ScaledDotProductAttentionOptions, scaledDotProductAttention } from "./attention.ts";
export { causalBias, paddingBias } from "./attention-mask.ts";
export { groupNorm } from "./group-norm.ts";
export { layerNorm } from "./layer-norm.ts";
export { padToMultiple } from "./pad.ts";
export { roll } from "./roll.ts";
export { sumOfSquares } from "./sum-of-squares.ts";
