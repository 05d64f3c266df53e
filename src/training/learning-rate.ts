export interface LearningRate {
  learningRate: number;
  /** Steps in which it rises to that, in a straight line. */
  warmUp: number;
  /**
   * Whether it then falls to 0 along half a cosine, by the last of all `steps`: Loshchilov and Hutter, "SGDR: Stochastic
   * gradient descent with warm restarts" (2017), without restarts. Otherwise it stays.
   */
  end: "constant" | "cosine";
  steps: number;
}

/** Of a step, from 0. The first is taken at 1 / warmUp, not at 0, so that none is for nothing. */
export function learningRateAt(step: number, { learningRate, warmUp, end, steps }: LearningRate): number {
  if (step < warmUp) return (learningRate * (step + 1)) / warmUp;
  if (end === "constant") return learningRate;
  return (learningRate * (1 + Math.cos((Math.PI * (step - warmUp)) / (steps - warmUp)))) / 2;
}
