export { Autoencoder, denormalizeLatents, normalizeLatents, type Posterior, samplePosterior } from "./autoencoder.ts";
export {
  type AutoencoderConfig,
  autoencoderConfigFrom,
  mitsuaLikesAutoencoder,
  pixelsPerCell,
  sdAutoencoder,
  sdxlAutoencoder,
} from "./autoencoder-config.ts";
export { defaultTiles, slicedDecode, type Tiles, tiledDecode } from "./autoencoder-tiles.ts";
export { ClipTextModel } from "./clip-text.ts";
export {
  type ClipTextConfig,
  clipTextConfigFrom,
  clipVitL,
  openClipVitBigG,
  openClipVitH,
} from "./clip-text-config.ts";
export { type ClipVision, ClipVisionModel } from "./clip-vision.ts";
export { type ClipVisionConfig, clipVisionConfigFrom } from "./clip-vision-config.ts";
export { SiglipTextModel, type SiglipTextOptions, type TextMask } from "./siglip-text.ts";
export { mitsuaJapaneseClip, type SiglipTextConfig, siglipTextConfigFrom } from "./siglip-text-config.ts";
export { SwinForImageClassification, SwinStage } from "./swin.ts";
export { type SwinConfig, type SwinStageConfig, swinBase, swinConfigFrom } from "./swin-config.ts";
export type { TextEncoding } from "./text-encoding.ts";
export { UNet, type UNetConditions } from "./unet.ts";
export {
  type ClassEmbedding,
  type LevelTransformers,
  type UNetConfig,
  type UNetLevel,
  unetConfigFrom,
} from "./unet-config.ts";
export { mitsuaLikesUNet, sdxlUNet, stableDiffusion15UNet, stableDiffusion21UNet } from "./unet-presets.ts";
