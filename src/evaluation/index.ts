export { CaptionEncoder, openCaptionEncoder } from "./caption-encoder.ts";
export { type ClipScore, clipScore, cosine } from "./clip-score.ts";
export { type EvaluateOptions, evaluateFolder, type FolderEvaluation } from "./evaluate-folder.ts";
export { type Found, scoreLabels } from "./f-score.ts";
export { FeatureMoments, type FeatureStatistics } from "./feature-moments.ts";
export { frechetDistance } from "./frechet-distance.ts";
export { type FeatureOptions, openPictureEncoder, PictureEncoder } from "./picture-encoder.ts";
export { type FoundPicture, PictureFolder } from "./picture-folder.ts";
export {
  PictureMoments,
  type PixelStatistics,
  type StatisticsDistance,
  statisticsDistance,
} from "./picture-statistics.ts";
export { psnr, reconstruct } from "./reconstruction.ts";
export {
  type JudgedPicture,
  mainAttributes,
  rate,
  type SceneScore,
  type Share,
  type Shares,
  scoreScenes,
} from "./scene-score.ts";
