import type { CaptionEncoder } from "./caption-encoder.ts";
import { type ClipScore, cosine, meanScore } from "./clip-score.ts";
import { FeatureMoments, type FeatureStatistics } from "./feature-moments.ts";
import type { FeatureOptions, PictureEncoder } from "./picture-encoder.ts";
import type { FoundPicture, PictureFolder } from "./picture-folder.ts";
import { PictureMoments, type PixelStatistics } from "./picture-statistics.ts";

export interface EvaluateOptions extends FeatureOptions {
  /** What FID and CLIP score see pictures by. */
  pictureEncoder?: PictureEncoder | undefined;
  /** What the CLIP score reads captions by. */
  captionEncoder?: CaptionEncoder | undefined;
}

/** What there is to say of a folder of pictures. */
export interface FolderEvaluation {
  count: number;
  /** How many pictures there are of each size, "64×64". */
  sizes: Record<string, number>;
  pixels: PixelStatistics;
  /** Of two pictures and more, by `pictureEncoder`. */
  features?: FeatureStatistics;
  /** Of the pictures that have captions, by `captionEncoder` too. A picture with several has the mean of its scores. */
  clipScore?: Omit<ClipScore, "each"> & { each: Record<string, number> };
}

/** So many pictures are in memory at a time. */
const batch = 16;

/**
 * Looks at every picture of a folder once, a few at a time, so that memory does not grow with their number.
 * @throws InputError that names a file that can't be read, and the signal's reason
 */
export async function evaluateFolder(folder: PictureFolder, options: EvaluateOptions = {}): Promise<FolderEvaluation> {
  const sizes: Record<string, number> = {};
  const clipScores: Record<string, number> = {};
  const pixels = new PictureMoments();
  let features: FeatureMoments | undefined;
  let count = 0;
  for await (const some of inBatches(folder.pictures(options.signal))) {
    for (const { picture } of some) {
      const size = `${picture.width}×${picture.height}`;
      sizes[size] = (sizes[size] ?? 0) + 1;
      pixels.add(picture);
    }
    const vectors = await options.pictureEncoder?.features(
      some.map(({ picture }) => picture),
      options,
    );
    if (vectors) {
      features ??= new FeatureMoments(vectors[0]!.length);
      for (const vector of vectors) features.add(vector);
      Object.assign(clipScores, await scoresOf(some, vectors, options));
    }
    count += some.length;
    options.onProgress?.({ task: `looking at ${folder.path}`, done: count, total: folder.files.length });
  }
  return {
    ...{ count, sizes, pixels: pixels.statistics() },
    ...(features && count > 1 && { features: features.statistics() }),
    ...(Object.keys(clipScores).length > 0 && {
      clipScore: { mean: meanScore(Object.values(clipScores)), each: clipScores },
    }),
  };
}

async function scoresOf(
  pictures: readonly FoundPicture[],
  vectors: readonly Float32Array[],
  { captionEncoder, signal }: EvaluateOptions,
): Promise<Record<string, number>> {
  if (!captionEncoder) return {};
  const scores: Record<string, number> = {};
  for (const [i, { file, captions = [] }] of pictures.entries()) {
    if (captions.length === 0) continue;
    const texts = await captionEncoder.features(captions, { signal });
    scores[file] = (100 * texts.reduce((sum, text) => sum + cosine(vectors[i]!, text), 0)) / texts.length;
  }
  return scores;
}

async function* inBatches(pictures: AsyncIterable<FoundPicture>): AsyncGenerator<FoundPicture[], void> {
  let some: FoundPicture[] = [];
  for await (const picture of pictures) {
    some.push(picture);
    if (some.length < batch) continue;
    yield some;
    some = [];
  }
  if (some.length > 0) yield some;
}
