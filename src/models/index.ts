export { ClipTextModel } from "./clip-text.ts";
export {
  type ClipTextConfig,
  clipTextConfigFrom,
  clipVitL,
  openClipVitBigG,
  openClipVitH,
} from "./clip-text-config.ts";
export { SiglipTextModel, type SiglipTextOptions, type TextMask } from "./siglip-text.ts";
export { mitsuaJapaneseClip, type SiglipTextConfig, siglipTextConfigFrom } from "./siglip-text-config.ts";
export type { TextEncoding } from "./text-encoding.ts";
