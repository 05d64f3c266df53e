export {
  type FoundRecord,
  formatParameters,
  type GenerationRecord,
  generationRecordFrom,
  latentFrom,
  type PictureDescription,
  parseParameters,
  pictureTexts,
} from "./metadata.ts";
export { checkPicture, denormalize, type FloatPicture, type Picture, postprocess, quantize } from "./picture.ts";
export {
  decodePng,
  decodePngSize,
  decodePngTexts,
  encodePng,
  maxPixels,
  maxPngBytes,
  type PngText,
  type PngTexts,
  pngSizeBytes,
} from "./png.ts";
export { ImageProcessor, type ImageProcessorConfig, imageProcessorConfigFrom } from "./processor.ts";
export { type ResampleFilter, resampleFilters, resize } from "./resize.ts";
