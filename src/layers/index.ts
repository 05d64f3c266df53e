export { Attention, type AttentionOptions } from "./attention.ts";
export { Conv2d, type Conv2dOptions, type Padding } from "./conv2d.ts";
export { Downsample, type DownsampleOptions } from "./downsample.ts";
export { Embedding } from "./embedding.ts";
export { FeedForward, Geglu } from "./feed-forward.ts";
export { GroupNorm } from "./group-norm.ts";
export { Layer } from "./layer.ts";
export { LayerNorm } from "./layer-norm.ts";
export { Linear } from "./linear.ts";
export { Loan } from "./loan.ts";
export { observe, watch } from "./observe.ts";
export { Parameter } from "./parameter.ts";
export { PatchEmbedding } from "./patch-embedding.ts";
export { PatchMerging } from "./patch-merging.ts";
export { ResnetBlock, type ResnetBlockOptions } from "./resnet-block.ts";
export { SpatialAttention } from "./spatial-attention.ts";
export { SpatialTransformer, type SpatialTransformerOptions } from "./spatial-transformer.ts";
export {
  keeping,
  type Needed,
  nextTurn,
  ownParts,
  pace,
  type RunOptions,
  runAtOnce,
  runStages,
  StagedLayer,
  type Stages,
  streamedSize,
} from "./stages.ts";
export { SwinBlock, type SwinBlockOptions } from "./swin-block.ts";
export {
  TextEmbeddings,
  TextEncoder,
  TextEncoderLayer,
  type TextEncoderSizes,
  TextMlp,
  TextSelfAttention,
} from "./text-encoder.ts";
export { TimestepEmbedding, Timesteps, type TimestepsOptions } from "./timestep-embedding.ts";
export { TransformerBlock, type TransformerBlockOptions } from "./transformer-block.ts";
export {
  countParameters,
  disposeWeights,
  layers,
  type Named,
  parameters,
  parts,
  withLentWeights,
} from "./tree.ts";
export { type BlockTransformers, type Conditioning, DownBlock, MidBlock, UpBlock } from "./unet-blocks.ts";
export { Upsample } from "./upsample.ts";
export { WindowAttention, type WindowAttentionOptions } from "./window-attention.ts";
