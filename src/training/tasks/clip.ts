import * as tf from "@tensorflow/tfjs-core";
import * as z from "zod";
import { readJsonFile } from "../../files.ts";
import { ImageProcessor, imageProcessorConfigFrom } from "../../image/index.ts";
import { type Named, type Parameter, parameters } from "../../layers/index.ts";
import { ClipVisionModel } from "../../models/clip-vision.ts";
import { SiglipTextModel } from "../../models/siglip-text.ts";
import { preparedPictures } from "../../pipelines/picture-tensors.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";
import { loadOr, openComponentOf } from "../component.ts";
import { contrastiveLoss, Similarity } from "../contrastive.ts";
import type { Example } from "../dataset.ts";
import type { Draws } from "../draws.ts";
import { initialize } from "../initialize.ts";
import type { OpenTaskOptions, TaskKind } from "../kind.ts";
import type { Samples, Task } from "../task.ts";
import { chooseCaptions, openTokenizerFor, type Tokens, tokensOf } from "./texts.ts";

const folder = z.string().min(1, "it must be the path of a folder");

const modelSchema = z.strictObject({ text_encoder: folder, image_encoder: folder, tokenizer: folder });

const stageSchema = z.strictObject({
  /**
   * What is trained. "text": the text encoder alone learns which captions in two languages are of one picture, as LaBSE did with
   * translations (Feng et al. 2022). It needs no picture, so batches can be large, and in a large batch everything a caption
   * says is needed to tell it from the others. "image": the image tower alone learns to speak of pictures in the words of a text
   * encoder that stays; the other way round it is locked-image tuning (Zhai et al. 2022).
   */
  train: z.enum(["both", "text", "image"]).default("both"),
});

type ClipStage = z.output<typeof stageSchema>;

/** B pairs: a picture and a caption, or two captions of a picture. */
interface ClipBatch extends tf.TensorContainerObject {
  /** [B, H, W, 3], as the image tower takes them, or the first caption of each pair */
  first: tf.Tensor4D | Tokens;
  texts: Tokens;
  /** [B, B], 1 where picture i has the caption of picture j too */
  same: tf.Tensor2D;
}

export interface ClipTaskParts {
  readonly textEncoder: SiglipTextModel;
  readonly imageEncoder: ClipVisionModel;
  readonly similarity: Similarity;
  readonly tokenizer: Tokenizer;
  readonly processor: ImageProcessor;
}

/**
 * A text encoder and an image tower learn together which picture belongs to which caption (Radford et al. 2021), as those of
 * Mitsua Japanese CLIP did. A UNet is then told a text in numbers that already stand for what it looks like.
 */
export class ClipTask implements Task<ClipBatch, ClipStage> {
  readonly models: {
    readonly text_encoder: SiglipTextModel;
    readonly image_encoder: ClipVisionModel;
    readonly similarity: Similarity;
  };
  readonly tokenizer: Tokenizer;
  readonly #processor: ImageProcessor;

  /** The models are loaded. */
  constructor({ textEncoder, imageEncoder, similarity, tokenizer, processor }: ClipTaskParts) {
    this.models = { text_encoder: textEncoder, image_encoder: imageEncoder, similarity };
    this.tokenizer = tokenizer;
    this.#processor = processor;
  }

  trained({ train }: ClipStage): readonly Named<Parameter>[] {
    const { text_encoder, image_encoder, similarity } = this.models;
    const models = {
      ...(train === "image" ? {} : { text_encoder }),
      ...(train === "text" ? {} : { image_encoder }),
      similarity,
    };
    return Object.entries(models).flatMap(([name, model]) => [...parameters(model, name)]);
  }

  async prepare(examples: readonly Example[], draws: Draws, { train }: ClipStage): Promise<ClipBatch> {
    if (train !== "text") return this.#batch(examples, chooseCaptions(examples, draws));
    const first = tokensOf(
      examples.map(({ captions }) => captions[0]!),
      this.tokenizer,
    );
    const last = examples.map(({ captions }) => captions.at(-1)!);
    return { ...this.#texts(examples, last), first };
  }

  loss(batch: ClipBatch): tf.Scalar {
    return tf.tidy(() => contrastiveLoss(this.#logits(batch), batch.same));
  }

  /** How often, of the examples' captions in each place (their languages), a picture's own fits it best, and the other way round. */
  async sample(examples: readonly Example[]): Promise<Samples> {
    const figures: Record<string, number> = {};
    for (const place of examples[0]!.captions.keys()) {
      const texts = examples.map(({ captions }) => captions[place]!);
      const batch = this.#batch(examples, texts);
      const right = tf.tidy(() => {
        const logits = this.#logits(batch);
        return tf.stack([meanRight(logits, batch.same), meanRight(tf.transpose(logits), tf.transpose(batch.same))]);
      });
      const [textFound, pictureFound] = await right.data<"float32">();
      tf.dispose([right, batch]);
      Object.assign(figures, { [`text ${place + 1} found`]: textFound, [`picture ${place + 1} found`]: pictureFound });
    }
    return { pictures: [], figures };
  }

  #batch(examples: readonly Example[], texts: readonly string[]): ClipBatch {
    const pictures = preparedPictures(
      examples.map(({ picture }) => picture),
      this.#processor,
    );
    return { ...this.#texts(examples, texts), first: pictures };
  }

  #texts(examples: readonly Example[], texts: readonly string[]): Pick<ClipBatch, "texts" | "same"> {
    const isSame = examples.flatMap(({ captions }, i) =>
      texts.map((text, j) => (i === j || captions.includes(text) ? 1 : 0)),
    );
    return {
      texts: tokensOf(texts, this.tokenizer),
      same: tf.tensor2d(isSame, [examples.length, examples.length]),
    };
  }

  #logits({ first, texts }: ClipBatch): tf.Tensor2D {
    const { image_encoder, similarity } = this.models;
    const firsts = "ids" in first ? this.#pooled(first) : image_encoder.apply(first as tf.Tensor4D).pooled;
    return similarity.apply(firsts, this.#pooled(texts));
  }

  #pooled({ ids, attentionMask }: Tokens): tf.Tensor2D {
    return this.models.text_encoder.apply(ids, { mask: "padding", attentionMask }).pooled;
  }
}

/** The share of rows whose largest number stands where `right` has a 1. */
function meanRight(rows: tf.Tensor2D, right: tf.Tensor2D): tf.Scalar {
  return tf.mean(tf.sum(tf.mul(tf.oneHot(tf.argMax(rows, 1), right.shape[1]), right), 1));
}

/** How a configuration file says it. */
export const clipTask: TaskKind<typeof modelSchema, typeof stageSchema> = {
  model: modelSchema,
  stage: stageSchema,
  open: async (model, options) => new ClipTask(await openParts(model, options)),
};

async function openParts(model: z.output<typeof modelSchema>, { seed }: OpenTaskOptions): Promise<ClipTaskParts> {
  const textEncoder = await openComponentOf(SiglipTextModel, model.text_encoder);
  const imageEncoder = await openComponentOf(ClipVisionModel, model.image_encoder);
  const similarity = new Similarity();
  const where = `${model.image_encoder}/preprocessor_config.json`;
  const processor = new ImageProcessor(imageProcessorConfigFrom(await readJsonFile(where), where));
  const tokenizer = await openTokenizerFor(textEncoder, { folder: model.tokenizer, beside: model.text_encoder });
  await loadOr(textEncoder, model.text_encoder, (one) => initialize(one, seed));
  await loadOr(imageEncoder, model.image_encoder, (one) => initialize(one, seed + 1));
  similarity.logitScale.assign(tf.scalar(Math.log(1 / 0.07)));
  return { textEncoder, imageEncoder, similarity, tokenizer, processor };
}
