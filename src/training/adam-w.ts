import * as tf from "@tensorflow/tfjs-core";
import type { Named, Parameter } from "../layers/index.ts";
import { eachWeight } from "./vectors.ts";

export interface AdamWOptions {
  /** How much of the mean of the gradients is kept at each step. */
  beta1?: number | undefined;
  /** How much of the mean of their squares is kept. */
  beta2?: number | undefined;
  eps?: number | undefined;
  /** By how much of itself, times the learning rate, a weight shrinks at each step. */
  weightDecay?: number | undefined;
}

interface Moments {
  name: string;
  parameter: Parameter;
  /** The mean of the gradients, m. */
  first: tf.Variable;
  /** The mean of their squares, v. */
  second: tf.Variable;
}

/** What is the same for all weights in a step, as scalars. */
interface Factors {
  rate: tf.Scalar;
  eps: tf.Scalar;
  kept: tf.Scalar;
}

/**
 * Adam with decoupled weight decay: Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2, with
 * the numbers of torch.optim.AdamW. Only matrices and filters decay: to shrink biases, and gains that stand around 1, only
 * hurts (so nanoGPT and many others).
 */
export class AdamW {
  readonly #options: Required<{ [Key in keyof AdamWOptions]: number }>;
  readonly #moments: readonly Moments[];
  #steps = 0;

  /** @param trained loaded parameters, by their names in a checkpoint */
  constructor(
    trained: readonly Named<Parameter>[],
    { beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01 }: AdamWOptions = {},
  ) {
    this.#options = { beta1, beta2, eps, weightDecay };
    this.#moments = trained.map(([name, parameter]) => ({
      name,
      parameter,
      first: zeros(parameter),
      second: zeros(parameter),
    }));
  }

  /** How many were taken. */
  get steps(): number {
    return this.#steps;
  }

  /** Takes a step. Gradients have the order and the shapes of the trained parameters' values. */
  step(gradients: readonly tf.Tensor[], learningRate: number): void {
    this.#steps++;
    tf.tidy(() => {
      const factors = this.#factors(learningRate);
      const variables = this.#moments.map(({ parameter, first, second }) => [
        parameter.value as tf.Variable,
        first,
        second,
      ]);
      const given = variables.map((own, i) => [...own, gradients[i]!]);
      const updated = eachWeight(given, (parts) => this.#updated(parts, factors));
      for (const [i, own] of variables.entries()) {
        for (const [part, variable] of own.entries()) variable.assign(updated[i]![part]!);
      }
    });
  }

  /** What the step's corrections of bias come to. Tensors, so that every step is the same graph with other numbers in. */
  #factors(learningRate: number): Factors {
    const { beta1, beta2, eps, weightDecay } = this.#options;
    const unbias = Math.sqrt(1 - beta2 ** this.#steps);
    return {
      // lr · m̂ / (√v̂ + eps) with both sides times the root of v's correction: then it is √v, of many numbers, that needs none.
      rate: tf.scalar((learningRate * unbias) / (1 - beta1 ** this.#steps)),
      eps: tf.scalar(eps * unbias),
      kept: tf.scalar(1 - learningRate * weightDecay),
    };
  }

  /** A weight, its moments and its gradient → the weight and its moments after the step */
  #updated(parts: readonly tf.Tensor[], { rate, eps, kept }: Factors): tf.Tensor[] {
    const [weight, first, second, g] = parts as readonly [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
    const { beta1, beta2, weightDecay } = this.#options;
    const decays = weightDecay > 0 && weight.rank > 1;
    if (tf.getKernel("AdamW", tf.getBackend())) {
      const given = { weight, first, second, gradient: g, rate, eps, ...(decays && { kept }) };
      return tf.engine().runKernel("AdamW", given, { beta1, beta2 }) as tf.Tensor[];
    }
    const mean = tf.add(tf.mul(first, beta1), tf.mul(g, 1 - beta1));
    const meanSquare = tf.add(tf.mul(second, beta2), tf.mul(tf.square(g), 1 - beta2));
    const update = tf.mul(tf.div(mean, tf.add(tf.sqrt(meanSquare), eps)), rate);
    return [tf.sub(decays ? tf.mul(weight, kept) : weight, update), mean, meanSquare];
  }

  /** Both moments of every parameter, for a checkpoint: torch's names, before the parameter's. They stay the optimizer's. */
  state(): Named<tf.Tensor>[] {
    return this.#moments.flatMap(({ name, first, second }): Named<tf.Tensor>[] => [
      [`exp_avg.${name}`, first],
      [`exp_avg_sq.${name}`, second],
    ]);
  }

  /** Goes on from a state after so many steps. `read` gives the tensor of a name, which is taken over. */
  restore(read: (name: string) => tf.Tensor, steps: number): void {
    this.#steps = steps;
    for (const [name, variable] of this.state()) takeOver(variable as tf.Variable, read(name));
  }

  dispose(): void {
    for (const { first, second } of this.#moments) tf.dispose([first, second]);
  }
}

function zeros({ valueShape }: Parameter): tf.Variable {
  return tf.tidy(() => tf.variable(tf.zeros(valueShape), false));
}

function takeOver(variable: tf.Variable, tensor: tf.Tensor): void {
  variable.assign(tensor);
  tensor.dispose();
}
