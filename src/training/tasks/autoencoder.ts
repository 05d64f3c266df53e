import * as tf from "@tensorflow/tfjs-core";
import * as z from "zod";
import { psnr, reconstruct } from "../../evaluation/reconstruction.ts";
import type { Picture } from "../../image/index.ts";
import { type Named, type Parameter, parameters, runAtOnce, runStages } from "../../layers/index.ts";
import { Autoencoder, samplePosterior } from "../../models/autoencoder.ts";
import { pixelsPerCell } from "../../models/autoencoder-config.ts";
import { pixelsOf } from "../../pipelines/picture-tensors.ts";
import { stack, takeData } from "../../pipelines/tensor-data.ts";
import { loadOr, openComponentOf } from "../component.ts";
import type { Example } from "../dataset.ts";
import type { Draws } from "../draws.ts";
import { initialize } from "../initialize.ts";
import type { OpenTaskOptions, TaskKind } from "../kind.ts";
import { klDivergence } from "../kl.ts";
import type { Samples, Task } from "../task.ts";
import { waveletLoss } from "../wavelet-loss.ts";

const modelSchema = z.strictObject({ vae: z.string().min(1, "it must be the path of a folder") });

const weight = z.number().min(0);

const stageSchema = z.strictObject({
  /** What is trained. A decoder alone can be improved beside a UNet that learned the latents: they stay as they are. */
  train: z.enum(["both", "decoder"]).default("both"),
  /** What the mean absolute error of the pixels, −1 to 1, counts. */
  absolute: weight.default(1),
  /** What the mean squared error counts. */
  squared: weight.default(1),
  /** What the wavelet loss counts, and its levels: the sides of pictures are multiples of 2^levels. */
  wavelet: weight.default(1),
  waveletLevels: z.int().min(1).max(8).default(3),
  /** What the divergence from the normal distribution counts, as a mean over the numbers of the latents. */
  kl: weight.default(1e-4),
});

export type AutoencoderStage = z.output<typeof stageSchema>;

/** B pictures, H W their height and width, h w those of their latents, Z latent channels. */
interface AutoencoderBatch extends tf.TensorContainerObject {
  /** [B, H, W, 3], −1 to 1 */
  pictures: tf.Tensor4D;
  /** [B, h, w, Z] */
  noise: tf.Tensor4D;
}

/**
 * A variational autoencoder (Kingma & Welling 2014; Rombach et al. 2022, section 3.1) learns to give back pictures through few
 * numbers. What is usual beside the pixels, a loss by a network trained on ImageNet and a discriminator, is a formula here:
 * see `waveletLoss`.
 */
export class AutoencoderTask implements Task<AutoencoderBatch, AutoencoderStage> {
  readonly models: { readonly vae: Autoencoder };

  /** The model is loaded. */
  constructor(vae: Autoencoder) {
    this.models = { vae };
  }

  trained({ train }: AutoencoderStage): readonly Named<Parameter>[] {
    const isDecoder = (name: string) => /^vae\.(post_quant_conv|decoder)\./.test(name);
    return [...parameters(this.models.vae, "vae")].filter(([name]) => train === "both" || isDecoder(name));
  }

  async prepare(examples: readonly Example[], draws: Draws): Promise<AutoencoderBatch> {
    const { latentChannels } = this.models.vae.config;
    const cell = pixelsPerCell(this.models.vae.config);
    const { width, height } = examples[0]!.picture;
    const shape: [number, number, number, number] = [
      examples.length,
      Math.floor(height / cell),
      Math.floor(width / cell),
      latentChannels,
    ];
    const noise = draws.normal(tf.util.sizeFromShape(shape));
    return { pictures: pixelsOf(examples.map(({ picture }) => picture)), noise: tf.tensor4d(noise, shape) };
  }

  loss({ pictures, noise }: AutoencoderBatch, stage: AutoencoderStage): tf.Scalar {
    const { vae } = this.models;
    return tf.tidy(() => {
      const posterior = runAtOnce(vae.encode(pictures));
      const decoded = runAtOnce(vae.decode(samplePosterior(posterior, noise)));
      const error = tf.sub(decoded, pictures) as tf.Tensor4D;
      const terms: (readonly [number, () => tf.Tensor])[] = [
        [stage.absolute, () => tf.mean(tf.abs(error))],
        [stage.squared, () => tf.mean(tf.square(error))],
        [stage.wavelet, () => waveletLoss(error, stage.waveletLevels)],
        [stage.kl, () => klDivergence(posterior)],
      ];
      const counted = terms.filter(([factor]) => factor > 0).map(([factor, term]) => tf.mul(term(), factor));
      return counted.reduce((sum, term) => tf.add(sum, term), tf.scalar(0)) as tf.Scalar;
    });
  }

  /** Each picture beside what comes back, and how alike they are over all. */
  async sample(examples: readonly Example[], signal?: AbortSignal): Promise<Samples> {
    const pairs: [Picture, Picture][] = [];
    for (const { picture } of examples) pairs.push([picture, await reconstruct(picture, this.models.vae, signal)]);
    return { pictures: pairs.flat(), columns: 8, figures: { psnr: psnr(pairs) } };
  }

  /** The scaling factor that brings latents to a standard deviation of 1 (Rombach et al. 2022, appendix G). */
  async finish(examples: readonly Example[]): Promise<{ vae: { scaling_factor: number } }> {
    const means = [];
    for (const example of examples) means.push(await this.#meanOf(example));
    const { data } = stack(means);
    const mean = data.reduce((sum, x) => sum + x, 0) / data.length;
    const variance = data.reduce((sum, x) => sum + (x - mean) ** 2, 0) / data.length;
    return { vae: { scaling_factor: 1 / Math.sqrt(variance) } };
  }

  async #meanOf({ picture }: Example) {
    const x = pixelsOf([picture]);
    try {
      const { mean, logvar } = await runStages(this.models.vae.encode(x));
      logvar.dispose();
      return await takeData(mean);
    } finally {
      x.dispose();
    }
  }
}

/**
 * First weights. The distribution of latents begins narrow, with a log variance of −6: at 0, as it would be, all that the encoder
 * says is lost in the noise, and it has to learn to shout first.
 */
function beginAt(vae: Autoencoder, seed: number): void {
  initialize(vae, seed);
  const { bias } = (vae.quantConv ?? vae.encoder.convOut) as { bias: Parameter<tf.Rank.R1> };
  const { latentChannels } = vae.config;
  bias.assign(tf.tidy(() => tf.concat([tf.slice(bias.value, 0, latentChannels), tf.fill([latentChannels], -6)])));
}

/** How a configuration file says it. */
export const autoencoderTask: TaskKind<typeof modelSchema, typeof stageSchema> = {
  model: modelSchema,
  stage: stageSchema,
  async open({ vae: folder }, { seed }: OpenTaskOptions) {
    const vae = await openComponentOf(Autoencoder, folder);
    await loadOr(vae, folder, (one) => beginAt(one, seed));
    return new AutoencoderTask(vae);
  },
};
