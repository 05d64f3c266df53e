import { InputError } from "../errors.ts";

export interface ClipScore {
  /** 0…100: the mean over the pictures, and 0 where it would be below. */
  mean: number;
  /** Of each picture, −100…100. */
  each: number[];
}

/**
 * How well pictures fit their texts: 100 × the cosine between the feature of each picture and that of its text. Hessel et al.,
 * "CLIPScore: a reference-free evaluation metric for image captioning" (2021), scaled and averaged as torchmetrics' CLIPScore.
 *
 * @throws InputError where there are none, or not as many of both, or not of one length
 */
export function clipScore(images: readonly ArrayLike<number>[], texts: readonly ArrayLike<number>[]): ClipScore {
  if (images.length !== texts.length || images.length === 0) {
    throw new InputError(`A CLIP score needs a text for each picture: there are ${images.length} and ${texts.length}.`);
  }
  const each = images.map((image, i) => 100 * cosine(image, texts[i]!));
  return { mean: meanScore(each), each };
}

/** The mean of pictures' scores, and 0 where it would be below. */
export function meanScore(each: readonly number[]): number {
  return Math.max(0, each.reduce((sum, score) => sum + score, 0) / each.length);
}

/** −1…1; 0 where one of them is nothing but zeros. @throws InputError where they are not of one length */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) {
    throw new InputError(`Features of ${a.length} and of ${b.length} numbers have no angle: take both of one model.`);
  }
  let [product, ofA, ofB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    ofA += a[i]! ** 2;
    ofB += b[i]! ** 2;
  }
  return product === 0 ? 0 : product / Math.sqrt(ofA * ofB);
}
