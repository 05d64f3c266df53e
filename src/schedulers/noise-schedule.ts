const { fround } = Math;

export const betaSchedules = ["linear", "scaled_linear", "squaredcos_cap_v2"] as const;

/**
 * How much noise each training step adds: the variances β of Ho et al., "Denoising diffusion probabilistic models"
 * (2020).
 */
export interface NoiseSchedule {
  trainTimesteps: number;
  betaStart: number;
  betaEnd: number;
  betaSchedule: (typeof betaSchedules)[number];
  /** Used instead of the schedule: one for each training step. */
  trainedBetas: readonly number[] | undefined;
  rescaleBetasZeroSnr: boolean;
}

/**
 * ᾱ: what part of the variance is still picture after each training step. The float32 numbers that diffusers computes.
 */
export function alphasCumprod(schedule: NoiseSchedule): Float32Array {
  const betas = betasOf(schedule);
  return cumulativeProduct(
    (schedule.rescaleBetasZeroSnr ? rescaleZeroTerminalSnr(betas) : betas).map((beta) => 1 - beta),
  );
}

function betasOf({ trainTimesteps, betaStart, betaEnd, betaSchedule, trainedBetas }: NoiseSchedule): Float32Array {
  if (trainedBetas) return Float32Array.from(trainedBetas);
  switch (betaSchedule) {
    case "linear":
      return linspace(betaStart, betaEnd, trainTimesteps);
    case "scaled_linear": // of the latent diffusion models
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), trainTimesteps).map((root) => root * root);
    case "squaredcos_cap_v2":
      return cosineBetas(trainTimesteps);
  }
}

/** Nichol and Dhariwal, "Improved denoising diffusion probabilistic models" (2021), equation 17. */
function cosineBetas(count: number): Float32Array {
  const alphaBar = (t: number) => Math.cos((((t + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  return Float32Array.from({ length: count }, (_, i) =>
    Math.min(1 - alphaBar((i + 1) / count) / alphaBar(i / count), 0.999),
  );
}

/**
 * Betas after which nothing of the picture is left: algorithm 1 of Lin et al., "Common diffusion noise schedules and
 * sample steps are flawed" (2023). The roots are rounded correctly; torch's on x86-64 processors (Intel MKL's) are not
 * all, so its smallest alphas differ, by up to 4e-6 of themselves.
 */
function rescaleZeroTerminalSnr(betas: Float32Array): Float32Array {
  const roots = cumulativeProduct(betas.map((beta) => 1 - beta)).map(Math.sqrt);
  const first = roots[0]!;
  const last = roots.at(-1)!;
  const scale = fround(first / fround(first - last));
  const alphaBars = roots.map((root) => fround(fround(root - last) * scale) ** 2);
  return alphaBars.map((alphaBar, i) => 1 - fround(i === 0 ? alphaBar : alphaBar / alphaBars[i - 1]!));
}

/** `torch.cumprod` on a CPU: the product runs in double precision, each result is rounded. */
function cumulativeProduct(values: Float32Array): Float32Array {
  let product = 1;
  return values.map((value) => {
    product *= value;
    return product;
  });
}

/** `torch.linspace` in float32 on x86-64, of 2 or more: from both ends to the middle, by fused multiply-adds. */
function linspace(start: number, end: number, count: number): Float32Array {
  const [first, last] = [fround(start), fround(end)];
  const step = fround(fround(last - first) / (count - 1));
  return Float32Array.from({ length: count }, (_, i) =>
    i < Math.floor(count / 2) ? first + step * i : last - step * (count - i - 1),
  );
}
