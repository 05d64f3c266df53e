import * as tf from "@tensorflow/tfjs-core";
import type { Named, Parameter } from "../layers/index.ts";
import { eachWeight } from "./vectors.ts";

interface Average {
  name: string;
  parameter: Parameter;
  mean: tf.Variable;
}

/**
 * A moving average of the weights (Polyak and Juditsky 1992), which draws better than the weights themselves: Ho et al.,
 * "Denoising diffusion probabilistic models" (2020), appendix B. With diffusers' EMAModel's warm-up, after which the random
 * weights of the beginning are forgotten.
 */
export class Ema {
  readonly #decay: number;
  readonly #averages: readonly Average[];
  #steps = 0;

  /** @param trained loaded parameters, by their names in a checkpoint */
  constructor(trained: readonly Named<Parameter>[], { decay }: { decay: number }) {
    this.#decay = decay;
    this.#averages = trained.map(([name, parameter]) => ({
      name,
      parameter,
      mean: tf.variable(parameter.value, false),
    }));
  }

  /** Takes in the weights after a step of the optimizer. */
  update(): void {
    const before = this.#steps++;
    const decay = before === 0 ? 0 : Math.min(this.#decay, (1 + before) / (10 + before));
    tf.tidy(() => {
      const share = tf.scalar(1 - decay); // a tensor, so that every step is the same graph
      const given = this.#averages.map(({ parameter, mean }) => [mean, parameter.value]);
      const closer = eachWeight(given, ([mean, weight]) => [tf.sub(mean!, tf.mul(tf.sub(mean!, weight!), share))]);
      for (const [i, { mean }] of this.#averages.entries()) mean.assign(closer[i]![0]!);
    });
  }

  /** Exchanges the weights and their averages, to draw with these; a second time puts everything back. */
  swap(): void {
    tf.tidy(() => {
      for (const { parameter, mean } of this.#averages) {
        const weight = parameter.value as tf.Variable;
        const kept = tf.clone(weight);
        weight.assign(mean);
        mean.assign(kept);
      }
    });
  }

  /** The averages, for a checkpoint: "ema.", then the parameter's name. They stay the average's. */
  state(): Named<tf.Tensor>[] {
    return this.#averages.map(({ name, mean }): Named<tf.Tensor> => [`ema.${name}`, mean]);
  }

  /** Goes on from a state after so many steps. `read` gives the tensor of a name, which is taken over. */
  restore(read: (name: string) => tf.Tensor, steps: number): void {
    this.#steps = steps;
    for (const { name, mean } of this.#averages) {
      const tensor = read(`ema.${name}`);
      mean.assign(tensor);
      tensor.dispose();
    }
  }

  dispose(): void {
    for (const { mean } of this.#averages) mean.dispose();
  }
}
