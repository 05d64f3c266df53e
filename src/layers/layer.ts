import * as tf from "@tensorflow/tfjs-core";

/** What a layer of an unknown kind takes: a tree holds layers of every signature. */
// biome-ignore lint/suspicious/noExplicitAny: `unknown[]` would make every layer with typed inputs no Layer
export type AnyInputs = any[];

/**
 * A function with weights. A subclass declares its parts as properties, makes them in its constructor (which allocates
 * nothing) and writes `forward`; everybody else calls `apply`.
 *
 * The path of properties that leads to a parameter, in snake_case, is its name in a checkpoint:
 * `unet.downBlocks[1].resnets[0].conv1.weight` is `down_blocks.1.resnets.0.conv1.weight`.
 */
export abstract class Layer<In extends unknown[] = AnyInputs, Out extends tf.TensorContainer = tf.TensorContainer> {
  /** The accidents: names that a checkpoint gives to properties of this class against the rule. */
  static readonly fileNames: Readonly<Record<string, string>> = {};

  protected abstract forward(...inputs: In): Out;

  /** Runs the layer. Every tensor that it made on the way is freed; only the result is left. */
  apply(...inputs: In): Out {
    return tf.tidy(() => this.forward(...inputs));
  }
}
