import * as tf from "@tensorflow/tfjs-core";
import { Conv2d } from "../layers/conv2d.ts";
import { Embedding } from "../layers/embedding.ts";
import { GroupNorm } from "../layers/group-norm.ts";
import { Linear } from "../layers/linear.ts";
import { keeping, StagedLayer, type Stages } from "../layers/stages.ts";
import { TimestepEmbedding, Timesteps } from "../layers/timestep-embedding.ts";
import { DownBlock, MidBlock, UpBlock } from "../layers/unet-blocks.ts";
import { silu } from "../ops/activations.ts";
import type { ClassEmbedding, LevelTransformers, UNetConfig } from "./unet-config.ts";
import { checkInputs } from "./unet-inputs.ts";

/** What a UNet is told beside the latents, the time and the text, where its configuration asks for it. */
export interface UNetConditions {
  /** Which tokens of the text are seen, [B, M] of 1 and 0; by default all. */
  contextMask?: tf.Tensor2D | undefined;
  /** The text as one vector, [B, P], of a UNet with `textTime`. */
  pooled?: tf.Tensor2D | undefined;
  /** Numbers for each picture, such as SDXL's sizes and crops in pixels, of a UNet with `textTime`. */
  timeIds?: readonly (readonly number[])[] | undefined;
  /** A class or a number for each picture, or vectors [B, D], of a UNet with `classEmbedding`. */
  classLabels?: readonly number[] | tf.Tensor2D | undefined;
  /** Added to the sinusoid of the time after a projection, [B, D], of a UNet with `time.conditionChannels`; may be left out. */
  timeCondition?: tf.Tensor2D | undefined;
}

/**
 * A U-Net (Ronneberger et al. 2015) of residual blocks that are told the time (Ho et al. 2020) and attend to text (Rombach
 * et al. 2022): from noisy latents it predicts their noise, or whatever its scheduler says. diffusers' UNet2DConditionModel.
 *
 * B batch, H W height and width in latent cells, M text tokens, C channels, T channels of the time embedding.
 */
export class UNet extends StagedLayer<
  [latents: tf.Tensor4D, timestep: number | readonly number[], context: tf.Tensor3D, conditions?: UNetConditions],
  tf.Tensor4D
> {
  timeProj: Timesteps;
  timeEmbedding: TimestepEmbedding;
  classEmbedding?: Embedding | TimestepEmbedding | Linear<tf.Tensor2D> | undefined;
  addTimeProj?: Timesteps;
  addEmbedding?: TimestepEmbedding;
  encoderHidProj?: Linear<tf.Tensor3D>;
  convIn: Conv2d;
  downBlocks: DownBlock[] = [];
  midBlock?: MidBlock;
  upBlocks: UpBlock[] = [];
  convNormOut: GroupNorm;
  convOut: Conv2d;
  readonly config: UNetConfig;

  constructor(config: UNetConfig) {
    super();
    this.config = config;
    const { levels, mid, time, classEmbedding, textTime, contextChannels, groups, eps, projection } = config;
    const finest = levels[0]!.channels;

    this.timeProj = new Timesteps(finest, time);
    this.timeEmbedding = new TimestepEmbedding(finest, time.channels, time);
    if (classEmbedding) this.classEmbedding = embeddingOf(classEmbedding, finest, time.channels);
    if (textTime) {
      this.addTimeProj = new Timesteps(textTime.sinusoidChannels, time);
      this.addEmbedding = new TimestepEmbedding(textTime.channels, time.channels);
    }
    if (config.textChannels) this.encoderHidProj = new Linear(config.textChannels, contextChannels);

    const tembChannels = classEmbedding?.join === "concat" ? 2 * time.channels : time.channels;
    const resnet = { tembChannels, groups, eps, timeScaleShift: config.timeScaleShift };
    const transformers = (level?: LevelTransformers) => level && { ...level, contextChannels, groups, projection };

    // The numbers of channels are pushed and popped as the tensors will be.
    let channels = finest;
    const skips = [channels];
    this.convIn = convolution(config.inChannels, channels, config.inKernel);
    for (const [i, level] of levels.entries()) {
      const isLast = i === levels.length - 1;
      const block = new DownBlock(channels, level.channels, {
        layers: level.layers,
        resnet,
        transformers: transformers(level.down),
        downsample: isLast ? undefined : { padding: config.downsamplePadding },
      });
      this.downBlocks.push(block);
      channels = level.channels;
      skips.push(...Array<number>(isLast ? level.layers : level.layers + 1).fill(channels));
    }
    if (mid) this.midBlock = new MidBlock(channels, { resnet, transformers: transformers(mid.transformers) });
    for (const level of levels.toReversed()) {
      const skipChannels = skips.splice(-(level.layers + 1)).reverse();
      const block = new UpBlock(channels, skipChannels, level.channels, {
        resnet,
        transformers: transformers(level.up),
        upsample: skips.length > 0,
      });
      this.upBlocks.push(block);
      channels = level.channels;
    }
    this.convNormOut = new GroupNorm(groups, channels, { eps });
    this.convOut = convolution(channels, config.outChannels, config.outKernel);
  }

  /**
   * A stage is a resnet or a transformer block.
   *
   * latents [B, H, W, in], timestep one of the scheduler's for all pictures or one for each, context [B, M, C]
   * → [B, H, W, out]. H and W are any sizes.
   * @throws InputError where an input does not fit the configuration
   */
  override *stages(
    latents: tf.Tensor4D,
    timestep: number | readonly number[],
    context: tf.Tensor3D,
    conditions: UNetConditions = {},
  ): Stages<tf.Tensor4D> {
    const times = typeof timestep === "number" ? Array<number>(latents.shape[0]).fill(timestep) : timestep;
    checkInputs(this.config, { latents, times, context, conditions });

    const temb = this.#embed(times, conditions); // [B, T]
    const projected = this.encoderHidProj?.apply(context); // [B, M, C]
    const contextBias = conditions.contextMask && biasOf(conditions.contextMask); // [B, 1, 1, M]
    const conditioning = { temb, context: projected ?? context, contextBias };
    const needed = [temb, projected, contextBias].filter((tensor) => tensor !== undefined);

    let h = this.convIn.apply(this.config.centerInput ? tf.sub(tf.mul(latents, 2), 1) : latents);
    const skips = [h];
    yield [...needed, h];

    for (const block of this.downBlocks) {
      const down = yield* keeping([...needed, ...skips], block.stages(h, conditioning));
      h = down.h;
      skips.push(...down.skips);
    }
    if (this.midBlock) h = yield* keeping([...needed, ...skips], this.midBlock.stages(h, conditioning));
    for (const block of this.upBlocks) {
      // The block pops from the list itself, so what is kept shrinks while it runs.
      h = yield* keeping(needed, keeping(skips, block.stages(h, skips, conditioning)));
    }
    return this.convOut.apply(silu(this.convNormOut.apply(h)));
  }

  /** The time, and what is to be known beside it, as one vector for each picture: [B, T] */
  #embed(times: readonly number[], { pooled, timeIds, classLabels, timeCondition }: UNetConditions): tf.Tensor2D {
    let temb: tf.Tensor2D = this.timeEmbedding.apply(this.timeProj.apply(times), timeCondition);
    if (classLabels) {
      const embedding = this.#embedClasses(classLabels);
      temb = this.config.classEmbedding?.join === "concat" ? tf.concat([temb, embedding], 1) : tf.add(temb, embedding);
    }
    if (this.addTimeProj && this.addEmbedding && pooled && timeIds) {
      const sinusoids: tf.Tensor2D = tf.reshape(this.addTimeProj.apply(timeIds.flat()), [times.length, -1]);
      temb = tf.add(temb, this.addEmbedding.apply(tf.concat([pooled, sinusoids], 1)));
    }
    return temb;
  }

  #embedClasses(labels: readonly number[] | tf.Tensor2D): tf.Tensor2D {
    if (this.classEmbedding instanceof Embedding) {
      return this.classEmbedding.apply(tf.tensor1d(labels as number[], "int32")) as tf.Tensor2D;
    }
    const vectors: tf.Tensor2D = labels instanceof tf.Tensor ? labels : this.timeProj.apply(labels);
    return this.classEmbedding?.apply(vectors) ?? vectors;
  }
}

/** Which tokens are seen → what is added to their attention scores. diffusers has −10000 here, not −∞. */
function biasOf(mask: tf.Tensor2D): tf.Tensor4D {
  return tf.tidy(() => tf.reshape(tf.mul(tf.sub(1, tf.cast(mask, "float32")), -10000), [mask.shape[0], 1, 1, -1]));
}

function embeddingOf({ kind, inChannels = 0 }: ClassEmbedding, sinusoidChannels: number, channels: number) {
  switch (kind) {
    case "table":
      return new Embedding(inChannels, channels);
    case "timestep":
      return new TimestepEmbedding(sinusoidChannels, channels);
    case "mlp":
      return new TimestepEmbedding(inChannels, channels);
    case "linear":
      return new Linear<tf.Tensor2D>(inChannels, channels);
    case "identity":
      return undefined;
  }
}

function convolution(inChannels: number, outChannels: number, kernel: number): Conv2d {
  return new Conv2d(inChannels, outChannels, { kernel, padding: (kernel - 1) / 2 });
}
