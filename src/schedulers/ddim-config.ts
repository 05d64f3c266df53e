import * as z from "zod";
import { readConfig } from "../config.ts";
import { ConfigError } from "../errors.ts";
import { alphasCumprod, betaSchedules, type NoiseSchedule } from "./noise-schedule.ts";
import { type Spacing, timestepSpacings } from "./timesteps.ts";

export const predictionTypes = ["epsilon", "v_prediction", "sample"] as const;

/** What a `scheduler_config.json` says to DDIM. */
export interface DdimConfig extends NoiseSchedule, Spacing {
  /** What the UNet predicts: the noise, the velocity (Salimans and Ho, 2022), or the picture. */
  predictionType: (typeof predictionTypes)[number];
  /** Predicted pictures are clipped to ± this. */
  clipSampleRange: number | undefined;
  /** Dynamic thresholding (Saharia et al., "Imagen", 2022), in place of clipping. */
  thresholding: { ratio: number; sampleMaxValue: number } | undefined;
  /** Whether the last step leaves no noise at all, or that of training step 0. */
  setAlphaToOne: boolean;
}

const fraction = z.number().gt(0).lt(1);
const maxTimesteps = 100_000; // keeps a lying file from filling memory

/** diffusers' fields and their defaults. */
const schema = z.strictObject({
  num_train_timesteps: z.int().min(2).max(maxTimesteps).default(1000),
  beta_start: fraction.default(0.0001),
  beta_end: fraction.default(0.02),
  beta_schedule: z.enum(betaSchedules).default("linear"),
  trained_betas: z.array(z.number().gt(0).max(1)).max(maxTimesteps).nullish(),
  clip_sample: z.boolean().default(true),
  clip_sample_range: z.number().gt(0).default(1),
  set_alpha_to_one: z.boolean().default(true),
  steps_offset: z.int().min(0).max(maxTimesteps).default(0),
  prediction_type: z.enum(predictionTypes).default("epsilon"),
  thresholding: z.boolean().default(false),
  dynamic_thresholding_ratio: z.number().min(0).max(1).default(0.995),
  sample_max_value: z.number().gt(0).default(1),
  timestep_spacing: z.enum(timestepSpacings).default("leading"),
  rescale_betas_zero_snr: z.boolean().default(false),
});

/** Settings of other schedulers, which many files carry and diffusers' DDIM passes over too. */
const ofOthers: ReadonlySet<string> = new Set([
  ...["algorithm_type", "disable_corrector", "euler_at_final", "final_sigmas_type", "interpolation_type"],
  ...["lambda_min_clipped", "lower_order_final", "original_inference_steps", "predict_x0", "rho", "sigma_data"],
  ...["sigma_max", "sigma_min", "sigma_schedule", "skip_prk_steps", "snr_shift_scale", "solver_order", "solver_p"],
  ...["solver_type", "timestep_scaling", "timestep_type", "use_beta_sigmas", "use_exponential_sigmas"],
  ...["use_karras_sigmas", "use_lu_lambdas", "variance_type"],
]);

/**
 * Reads a parsed `scheduler_config.json`, of DDIM or of another scheduler that DDIM replaces.
 * @param where the file's path, for messages
 * @throws ConfigError that names the file and the first field that is unknown or not supported
 */
export function ddimConfigFrom(json: unknown, where: string): DdimConfig {
  const fields = readConfig(schema, json, where, { passOver: ofOthers });
  const config: DdimConfig = {
    trainTimesteps: fields.num_train_timesteps,
    betaStart: fields.beta_start,
    betaEnd: fields.beta_end,
    betaSchedule: fields.beta_schedule,
    trainedBetas: fields.trained_betas ?? undefined,
    rescaleBetasZeroSnr: fields.rescale_betas_zero_snr,
    spacing: fields.timestep_spacing,
    stepsOffset: fields.steps_offset,
    predictionType: fields.prediction_type,
    clipSampleRange: fields.clip_sample ? fields.clip_sample_range : undefined,
    thresholding: fields.thresholding
      ? { ratio: fields.dynamic_thresholding_ratio, sampleMaxValue: fields.sample_max_value }
      : undefined,
    setAlphaToOne: fields.set_alpha_to_one,
  };
  checkNoiseSchedule(config, where);
  return config;
}

/** Refuses betas of which a step could not be computed: ᾱ must fall at every step, to 0 at the last at most. */
function checkNoiseSchedule(config: DdimConfig, where: string): void {
  const { trainedBetas, trainTimesteps } = config;
  if (trainedBetas && trainedBetas.length !== trainTimesteps) {
    throw new ConfigError(
      `${where}: the field "trained_betas" has ${trainedBetas.length} numbers, but "num_train_timesteps" is ` +
        `${trainTimesteps}.`,
    );
  }
  const stuck = alphasCumprod(config).findIndex((alpha, t, alphas) => !(alpha < (t === 0 ? 1 : alphas[t - 1]!)));
  if (stuck >= 0) {
    const fields = trainedBetas ? '"trained_betas"' : '"beta_schedule", "beta_start" and "beta_end"';
    throw new ConfigError(
      `${where}: with these ${fields}, no noise that float32 can tell is added at timestep ${stuck}.`,
    );
  }
}
