import { InputError } from "../errors.ts";

export const timestepSpacings = ["leading", "trailing", "linspace"] as const;
export type TimestepSpacing = (typeof timestepSpacings)[number];

/** How `steps` of the training steps are chosen. */
export interface Spacing {
  trainTimesteps: number;
  spacing: TimestepSpacing;
  /** Added to every timestep of leading spacing. */
  stepsOffset: number;
}

/**
 * The timesteps of `steps` steps, falling: table 2 of Lin et al., "Common diffusion noise schedules and sample steps
 * are flawed" (2023), with the roundings of NumPy in diffusers.
 *
 * One departure: in diffusers, trailing spacing of some numbers of steps (61, 103, 121, … of 1000) has one timestep
 * more than was asked for, −1, by a rounding error of `np.arange`. Its step would take the clean latents for the
 * noisiest and spoil them. The paper's list does not have it, and neither has this one.
 * @throws InputError where the steps are no whole number, more than the training steps, or run past them by the offset
 */
export function spacedTimesteps(steps: number, { trainTimesteps, spacing, stepsOffset }: Spacing): number[] {
  if (!Number.isInteger(steps) || steps < 1 || steps > trainTimesteps) {
    throw new InputError(
      `The number of steps is ${steps}: it must be a whole number from 1 to ${trainTimesteps}, the steps of training.`,
    );
  }
  switch (spacing) {
    case "leading":
      return leading(steps, trainTimesteps, stepsOffset);
    case "trailing":
      return trailing(steps, trainTimesteps);
    case "linspace":
      return linspace(steps, trainTimesteps);
  }
}

function leading(steps: number, trainTimesteps: number, offset: number): number[] {
  const stride = Math.floor(trainTimesteps / steps);
  const first = (steps - 1) * stride + offset;
  if (first >= trainTimesteps) {
    throw new InputError(
      `${steps} steps begin at timestep ${first} with the scheduler's steps_offset of ${offset}, but training ended at ` +
        `${trainTimesteps - 1}: take fewer steps.`,
    );
  }
  return Array.from({ length: steps }, (_, i) => first - i * stride);
}

function trailing(steps: number, trainTimesteps: number): number[] {
  // np.arange(T, 0, -T / steps), which takes its stride from its first two numbers
  const stride = trainTimesteps - (trainTimesteps - trainTimesteps / steps);
  return Array.from({ length: steps }, (_, i) => roundHalfToEven(trainTimesteps - i * stride) - 1);
}

function linspace(steps: number, trainTimesteps: number): number[] {
  const last = trainTimesteps - 1;
  const stride = steps > 1 ? last / (steps - 1) : 0;
  const rising = Array.from({ length: steps }, (_, i) =>
    i > 0 && i === steps - 1 ? last : roundHalfToEven(i * stride),
  );
  return rising.reverse();
}

function roundHalfToEven(x: number): number {
  const rounded = Math.round(x); // halves go up
  return rounded - x === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
