import * as tf from "@tensorflow/tfjs-core";
import * as z from "zod";
import { InputError } from "../../errors.ts";
import { readJsonFile } from "../../files.ts";
import { ImageProcessor, imageProcessorConfigFrom } from "../../image/index.ts";
import { type Named, type Parameter, parameters, runStages } from "../../layers/index.ts";
import { SwinForImageClassification } from "../../models/swin.ts";
import { preparedPictures } from "../../pipelines/picture-tensors.ts";
import { loadOr, openComponentOf } from "../component.ts";
import type { Example } from "../dataset.ts";
import type { Draws } from "../draws.ts";
import { initialize } from "../initialize.ts";
import type { OpenTaskOptions, TaskKind } from "../kind.ts";
import { foundLabels, multiLabelLoss } from "../multi-label.ts";
import type { Samples, Task } from "../task.ts";
import { worsened } from "../worsened.ts";

const folder = z.string().min(1, "it must be the path of a folder");

const modelSchema = z.strictObject({
  character_detector: folder,
  /** That of the preprocessor_config.json. */
  character_detector_processor: folder,
});

const stageSchema = z.strictObject({
  /** The share of pictures that are blurred and given noise: those that a model draws are not as sharp as those it learned from. */
  worsen: z.number().min(0).max(1).default(0.5),
});

export type ClassifierStage = z.output<typeof stageSchema>;

/** B pictures, L labels. */
interface ClassifierBatch extends tf.TensorContainerObject {
  /** [B, H, W, 3], as the classifier takes them */
  pictures: tf.Tensor4D;
  /** [B, L], 1 for a label that the picture has */
  targets: tf.Tensor2D;
}

/** A classifier learns which characters a picture shows, of which there may be several or none. */
export class ClassifierTask implements Task<ClassifierBatch, ClassifierStage> {
  readonly models: { readonly character_detector: SwinForImageClassification };
  readonly #processor: ImageProcessor;

  /** The model is loaded. */
  constructor(classifier: SwinForImageClassification, processor: ImageProcessor) {
    this.models = { character_detector: classifier };
    this.#processor = processor;
  }

  trained(): readonly Named<Parameter>[] {
    return [...parameters(this.models.character_detector, "character_detector")];
  }

  /** @throws InputError for a label that the classifier has not */
  async prepare(examples: readonly Example[], draws: Draws, { worsen }: ClassifierStage): Promise<ClassifierBatch> {
    const chances = draws.uniform(examples.length);
    const pictures = examples.map(({ picture }, i) => (chances[i]! < worsen ? worsened(picture, draws) : picture));
    const { labels } = this.models.character_detector.config;
    return {
      pictures: preparedPictures(pictures, this.#processor),
      targets: tf.tensor2d(
        examples.flatMap((example) => targetsOf(example, labels).map(Number)),
        [examples.length, labels.length],
      ),
    };
  }

  loss({ pictures, targets }: ClassifierBatch): tf.Scalar {
    return tf.tidy(() => multiLabelLoss(this.models.character_detector.apply(pictures), targets));
  }

  /** How well the characters of the examples are found, of any probability over a half. */
  async sample(examples: readonly Example[], signal?: AbortSignal): Promise<Samples> {
    const { character_detector: classifier } = this.models;
    const said: boolean[] = [];
    for (const { picture } of examples) {
      const pixels = preparedPictures([picture], this.#processor);
      const logits = await runStages(classifier.stages(pixels), { signal });
      said.push(...Array.from(await logits.data<"float32">(), (logit) => logit > 0));
      tf.dispose([pixels, logits]);
    }
    const are = examples.flatMap((example) => targetsOf(example, classifier.config.labels));
    return { pictures: [], figures: { ...foundLabels(said, are) } };
  }
}

/** Of each of the classifier's labels, whether the example has it. */
function targetsOf({ labels }: Example, known: readonly string[]): boolean[] {
  const unknown = labels.find((label) => !known.includes(label));
  if (unknown === undefined) return known.map((label) => labels.includes(label));
  throw new InputError(
    `A picture has the label ${JSON.stringify(unknown)}, which the classifier has not. Its labels (id2label in its ` +
      `config.json) are ${known.join(", ")}.`,
  );
}

/** How a configuration file says it. */
export const classifierTask: TaskKind<typeof modelSchema, typeof stageSchema> = {
  model: modelSchema,
  stage: stageSchema,
  async open(model, { seed }: OpenTaskOptions) {
    const classifier = await openComponentOf(SwinForImageClassification, model.character_detector);
    const where = `${model.character_detector_processor}/preprocessor_config.json`;
    const processor = new ImageProcessor(imageProcessorConfigFrom(await readJsonFile(where), where));
    await loadOr(classifier, model.character_detector, (one) => initialize(one, seed));
    return new ClassifierTask(classifier, processor);
  },
};
