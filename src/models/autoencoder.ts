import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { Conv2d } from "../layers/conv2d.ts";
import { Downsample } from "../layers/downsample.ts";
import { GroupNorm } from "../layers/group-norm.ts";
import type { Layer } from "../layers/layer.ts";
import { ResnetBlock } from "../layers/resnet-block.ts";
import { SpatialAttention } from "../layers/spatial-attention.ts";
import { StagedLayer, type Stages } from "../layers/stages.ts";
import { Upsample } from "../layers/upsample.ts";
import { silu } from "../ops/activations.ts";
import type { AutoencoderConfig } from "./autoencoder-config.ts";

// B batch, H W height and width of a picture, h w those of its latents (f times smaller), Z latent channels.

/** What the encoder says of a picture: a normal distribution for every number of its latents. Both [B, h, w, Z]. */
export type Posterior = { mean: tf.Tensor4D; logvar: tf.Tensor4D };

/**
 * Pictures to latents and back: the variational autoencoder of latent diffusion (Rombach et al. 2022, section 3.1; Kingma &
 * Welling 2014). diffusers' AutoencoderKL. Pictures run from −1 to 1.
 */
export class Autoencoder extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  encoder: Encoder;
  decoder: Decoder;
  quantConv?: Conv2d;
  postQuantConv?: Conv2d;
  readonly config: AutoencoderConfig;

  constructor(config: AutoencoderConfig) {
    super();
    const { latentChannels } = config;
    this.encoder = new Encoder(config);
    this.decoder = new Decoder(config);
    if (config.quantConv) this.quantConv = new Conv2d(2 * latentChannels, 2 * latentChannels, { kernel: 1 });
    if (config.postQuantConv) this.postQuantConv = new Conv2d(latentChannels, latentChannels, { kernel: 1 });
    this.config = config;
  }

  /** A picture there and back, by the mean of its latents: x [B, H, W, in] → [B, f·h, f·w, out] */
  override *stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    const { mean } = yield* this.encode(x);
    return yield* this.decode(mean);
  }

  /**
   * x [B, H, W, in] in −1 … 1 → the distribution of its latents, not yet scaled (see `normalizeLatents`). Where H or W is no
   * multiple of f, the rest at the bottom and the right counts for little, and is not decoded.
   * @throws InputError for pictures with other channels
   */
  *encode(x: tf.Tensor4D): Stages<Posterior> {
    checkChannels("Pictures", x, this.config.inChannels);
    const h = yield* this.encoder.stages(x);
    const moments = this.quantConv?.apply(h) ?? h; // [B, h, w, 2Z]
    const [mean, logvar] = tf.split(moments, 2, 3) as [tf.Tensor4D, tf.Tensor4D];
    return { mean, logvar: tf.clipByValue(logvar, -30, 20) };
  }

  /**
   * z [B, h, w, Z], as the encoder gives it (see `denormalizeLatents`) → pictures [B, f·h, f·w, out], about −1 … 1.
   * @throws InputError for latents with other channels
   */
  *decode(z: tf.Tensor4D): Stages<tf.Tensor4D> {
    checkChannels("Latents", z, this.config.latentChannels);
    return yield* this.decoder.stages(this.postQuantConv?.apply(z) ?? z);
  }
}

/** Latents drawn from the encoder's distribution, with standard normal noise of their shape. Its mode is its mean. */
export function samplePosterior({ mean, logvar }: Posterior, noise: tf.Tensor4D): tf.Tensor4D {
  return tf.tidy(() => tf.add(mean, tf.mul(tf.exp(tf.mul(logvar, 0.5)), noise)));
}

/** Latents as a UNet makes them → as the decoder takes them. [B, h, w, Z]. As the pipelines of SD, SDXL and Mitsua Likes do. */
export function denormalizeLatents(
  latents: tf.Tensor4D,
  { scalingFactor, latentsMean, latentsStd }: AutoencoderConfig,
): tf.Tensor4D {
  return tf.tidy(() => {
    if (!latentsMean || !latentsStd) return tf.div(latents, scalingFactor);
    return tf.add(tf.div(tf.mul(latents, tf.tensor1d([...latentsStd])), scalingFactor), tf.tensor1d([...latentsMean]));
  });
}

/** Latents as the encoder makes them → as a UNet takes them: the inverse of `denormalizeLatents`. */
export function normalizeLatents(
  z: tf.Tensor4D,
  { scalingFactor, latentsMean, latentsStd }: AutoencoderConfig,
): tf.Tensor4D {
  return tf.tidy(() => {
    if (!latentsMean || !latentsStd) return tf.mul(z, scalingFactor);
    const centred = tf.sub(z, tf.tensor1d([...latentsMean]));
    return tf.div(tf.mul(centred, scalingFactor), tf.tensor1d([...latentsStd]));
  });
}

/** Levels of residual blocks, each half as wide and high as the one before. */
class Encoder extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  convIn: Conv2d;
  downBlocks: DownBlock[] = [];
  midBlock: MidBlock;
  convNormOut: GroupNorm;
  convOut: Conv2d;

  constructor(config: AutoencoderConfig) {
    super();
    const { channels, inChannels, latentChannels } = config;
    this.convIn = new Conv2d(inChannels, channels[0]!, { kernel: 3, padding: 1 });
    for (const [level, outChannels] of channels.entries()) {
      const isLast = level === channels.length - 1;
      this.downBlocks.push(new DownBlock(channels[level - 1] ?? outChannels, outChannels, config, { isLast }));
    }
    const deepest = channels.at(-1)!;
    this.midBlock = new MidBlock(deepest, config);
    this.convNormOut = new GroupNorm(config.groups, deepest, { eps });
    this.convOut = new Conv2d(deepest, 2 * latentChannels, { kernel: 3, padding: 1 });
  }

  /** x [B, H, W, in] → the means and log variances [B, h, w, 2Z] */
  override *stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    let h: tf.Tensor4D = this.convIn.apply(x);
    for (const block of this.downBlocks) h = yield* block.stages(h);
    h = yield* this.midBlock.stages(h);
    return this.convOut.apply(silu(this.convNormOut.apply(h)));
  }
}

/** The encoder's levels backwards, each twice as wide and high as the one before. */
class Decoder extends StagedLayer<[z: tf.Tensor4D], tf.Tensor4D> {
  convIn: Conv2d;
  upBlocks: UpBlock[] = [];
  midBlock: MidBlock;
  convNormOut: GroupNorm;
  convOut: Conv2d;

  constructor(config: AutoencoderConfig) {
    super();
    const { latentChannels, outChannels: pictureChannels } = config;
    const channels = config.channels.toReversed();
    this.convIn = new Conv2d(latentChannels, channels[0]!, { kernel: 3, padding: 1 });
    this.midBlock = new MidBlock(channels[0]!, config);
    for (const [level, outChannels] of channels.entries()) {
      const isLast = level === channels.length - 1;
      this.upBlocks.push(new UpBlock(channels[level - 1] ?? outChannels, outChannels, config, { isLast }));
    }
    const finest = channels.at(-1)!;
    this.convNormOut = new GroupNorm(config.groups, finest, { eps });
    this.convOut = new Conv2d(finest, pictureChannels, { kernel: 3, padding: 1 });
  }

  /** z [B, h, w, Z] → pictures [B, f·h, f·w, out] */
  override *stages(z: tf.Tensor4D): Stages<tf.Tensor4D> {
    let h: tf.Tensor4D = this.convIn.apply(z);
    h = yield* this.midBlock.stages(h);
    for (const block of this.upBlocks) h = yield* block.stages(h);
    return this.convOut.apply(silu(this.convNormOut.apply(h)));
  }
}

class DownBlock extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  resnets: ResnetBlock[];
  downsamplers: Downsample[];

  constructor(inChannels: number, outChannels: number, config: AutoencoderConfig, { isLast }: { isLast: boolean }) {
    super();
    this.resnets = resnets(inChannels, outChannels, config.layersPerBlock, config);
    this.downsamplers = isLast ? [] : [new Downsample(outChannels, { padding: "end" })];
  }

  /** x [B, H, W, in] → [B, ⌊H/2⌋, ⌊W/2⌋, out], at the last level [B, H, W, out] */
  override stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    return oneByOne([...this.resnets, ...this.downsamplers], x);
  }
}

class MidBlock extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  attentions: SpatialAttention[];
  resnets: ResnetBlock[];

  constructor(channels: number, config: AutoencoderConfig) {
    super();
    this.attentions = config.midAttention ? [new SpatialAttention(channels, { groups: config.groups, eps })] : [];
    this.resnets = resnets(channels, channels, 2, config);
  }

  /** x [B, h, w, C] → the same shape */
  override stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    const [before, after] = this.resnets as [ResnetBlock, ResnetBlock];
    return oneByOne([before, ...this.attentions, after], x);
  }
}

class UpBlock extends StagedLayer<[x: tf.Tensor4D], tf.Tensor4D> {
  resnets: ResnetBlock[];
  upsamplers: Upsample[];

  constructor(inChannels: number, outChannels: number, config: AutoencoderConfig, { isLast }: { isLast: boolean }) {
    super();
    this.resnets = resnets(inChannels, outChannels, config.layersPerBlock + 1, config);
    this.upsamplers = isLast ? [] : [new Upsample(outChannels)];
  }

  /** x [B, H, W, in] → [B, 2H, 2W, out], at the last level [B, H, W, out] */
  override stages(x: tf.Tensor4D): Stages<tf.Tensor4D> {
    return oneByOne([...this.resnets, ...this.upsamplers], x);
  }
}

/** Added to the variance in every norm of an autoencoder. */
const eps = 1e-6;

function resnets(inChannels: number, outChannels: number, count: number, { groups }: AutoencoderConfig): ResnetBlock[] {
  const options = { tembChannels: undefined, groups, eps };
  return Array.from({ length: count }, (_, i) => new ResnetBlock(i ? outChannels : inChannels, outChannels, options));
}

/** Layer after layer, a stage each. */
function* oneByOne(layers: Layer<[x: tf.Tensor4D], tf.Tensor4D>[], x: tf.Tensor4D): Stages<tf.Tensor4D> {
  let h = x;
  for (const layer of layers) {
    h = layer.apply(h);
    yield [h];
  }
  return h;
}

function checkChannels(what: string, x: tf.Tensor4D, channels: number): void {
  if (x.shape[3] !== channels) {
    throw new InputError(`${what} for this autoencoder have ${channels} channels, those given have ${x.shape[3]}.`);
  }
}
