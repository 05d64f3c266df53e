import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { LayerNorm } from "../layers/layer-norm.ts";
import { Linear } from "../layers/linear.ts";
import { PatchEmbedding } from "../layers/patch-embedding.ts";
import { PatchMerging } from "../layers/patch-merging.ts";
import { keeping, StagedLayer, type Stages } from "../layers/stages.ts";
import { SwinBlock } from "../layers/swin-block.ts";
import type { SwinConfig } from "./swin-config.ts";

/** Blocks at one resolution, whose windows are shifted in every second, and the way to the next resolution. */
export class SwinStage extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  blocks: SwinBlock[];
  downsample?: PatchMerging; // in all stages but the last

  constructor(config: SwinConfig, index: number) {
    super();
    const { depth, heads } = config.stages[index]!;
    const channels = config.channels * 2 ** index;
    const mlpChannels = Math.floor(config.mlpRatio * channels);
    const half = Math.floor(config.window / 2);
    this.blocks = Array.from(
      { length: depth },
      (_, i) => new SwinBlock(channels, { ...config, heads, mlpChannels, shift: i % 2 === 0 ? 0 : half }),
    );
    if (index < config.stages.length - 1) this.downsample = new PatchMerging(channels);
  }

  /** x [B, H, W, C] → [B, ⌈H / 2⌉, ⌈W / 2⌉, 2 C], or the same shape in the last stage */
  override *stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    let h = x;
    for (const block of this.blocks) {
      h = block.apply(h);
      yield [h];
    }
    return this.downsample?.apply(h) ?? h;
  }
}

/**
 * Swin (Liu et al. 2021) with a linear classifier over the mean of its patches, as transformers'
 * SwinForImageClassification has it. Windows, shifts and masks follow from the size of the picture, which may be any that
 * leaves a window's worth of patches at every stage.
 */
export class SwinForImageClassification extends StagedLayer<[pictures: tf.Tensor4D], tf.Tensor2D> {
  static override readonly fileNames = {
    patchEmbeddings: "swin.embeddings.patch_embeddings",
    norm: "swin.embeddings.norm",
    layers: "swin.encoder.layers",
    layernorm: "swin.layernorm",
  };

  patchEmbeddings: PatchEmbedding;
  norm: LayerNorm<tf.Tensor4D>;
  layers: SwinStage[];
  layernorm: LayerNorm<tf.Tensor4D>;
  classifier: Linear<tf.Tensor2D>;
  readonly config: SwinConfig;

  constructor(config: SwinConfig) {
    super();
    const outChannels = config.channels * 2 ** (config.stages.length - 1);
    this.patchEmbeddings = new PatchEmbedding(config.inChannels, config.channels, config.patch);
    this.norm = new LayerNorm(config.channels, { eps: 1e-5 });
    this.layers = config.stages.map((_, index) => new SwinStage(config, index));
    this.layernorm = new LayerNorm(outChannels, { eps: config.eps });
    this.classifier = new Linear(outChannels, config.labels.length);
    this.config = config;
  }

  /**
   * pictures [B, H, W, 3], prepared as the folder's preprocessor_config.json says → logits [B, labels]; a stage a block
   * @throws InputError where the picture is too small for the windows
   */
  override *stages(pictures: tf.Tensor4D): Stages<tf.Tensor2D> {
    this.#checkSize(pictures.shape[1], pictures.shape[2]);
    let h = this.norm.apply(this.patchEmbeddings.apply(pictures));
    for (const layer of this.layers) h = yield* keeping([h], layer.stages(h));
    return this.classifier.apply(tf.mean(this.layernorm.apply(h), [1, 2]));
  }

  /** logits [B, labels] → for each picture, every label and its probability. Of two classes of one name, the likelier counts. */
  async probabilities(logits: tf.Tensor2D): Promise<Record<string, number>[]> {
    const { labels, answer } = this.config;
    const tensor = answer === "each label" ? tf.sigmoid(logits) : tf.softmax(logits);
    try {
      const rows = (await tensor.array()) as number[][];
      if ((await logits.data<"float32">()).some(Number.isNaN)) throw noNumber(); // of which a GPU may make a probability
      return rows.map((row) => named(labels, row));
    } finally {
      tensor.dispose();
    }
  }

  #checkSize(height: number, width: number): void {
    const { patch, window, stages } = this.config;
    for (const index of stages.keys()) {
      const cell = patch * 2 ** index;
      const [rows, columns] = [Math.ceil(height / cell), Math.ceil(width / cell)];
      if (Math.min(rows, columns) >= window) continue;
      throw new InputError(
        `A picture of ${width} × ${height} pixels is too small for this Swin: stage ${index + 1} would have ` +
          `${columns} × ${rows} patches, and its windows need ${window} × ${window}. Give a larger picture.`,
      );
    }
  }
}

function noNumber(): InputError {
  return new InputError("The classifier gave a probability that is no number: its weights or the picture are damaged.");
}

function named(labels: string[], probabilities: number[]): Record<string, number> {
  if (!probabilities.every(Number.isFinite)) throw noNumber();
  const byLabel = new Map<string, number>();
  for (const [index, label] of labels.entries()) {
    byLabel.set(label, Math.max(probabilities[index]!, byLabel.get(label) ?? 0));
  }
  // Not `object[label] = …`, which "__proto__" would slip through.
  return Object.fromEntries(byLabel);
}
