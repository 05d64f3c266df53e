import * as tf from "@tensorflow/tfjs-core";
import { Conv2d } from "./conv2d.ts";
import { GroupNorm } from "./group-norm.ts";
import { Linear } from "./linear.ts";
import { StagedLayer, type Stages } from "./stages.ts";
import { TransformerBlock, type TransformerBlockOptions } from "./transformer-block.ts";

export interface SpatialTransformerOptions extends TransformerBlockOptions {
  /** Transformer blocks. With none of them, the norm and both projections still run. */
  depth: number;
  groups: number;
  /** How channels are projected at both ends. The arithmetic is the same; the weights have other shapes. */
  projection: "linear" | "conv";
}

/**
 * Transformer blocks over the cells of a picture, row by row, added to the picture (Rombach et al. 2022).
 * diffusers' Transformer2DModel.
 *
 * B batch, H W height and width, C channels, M text tokens. A stage is a transformer block.
 */
export class SpatialTransformer extends StagedLayer<
  [x: tf.Tensor4D, context: tf.Tensor3D, contextBias?: tf.Tensor4D | undefined],
  tf.Tensor4D
> {
  norm: GroupNorm;
  projIn: Linear<tf.Tensor4D> | Conv2d;
  transformerBlocks: TransformerBlock[];
  projOut: Linear<tf.Tensor4D> | Conv2d;

  constructor(channels: number, { depth, groups, projection, ...block }: SpatialTransformerOptions) {
    super();
    const project = () =>
      projection === "linear"
        ? new Linear<tf.Tensor4D>(channels, channels)
        : new Conv2d(channels, channels, { kernel: 1 });
    // 1e-6 here, whatever the rest of the UNet has.
    this.norm = new GroupNorm(groups, channels, { eps: 1e-6 });
    this.projIn = project();
    this.transformerBlocks = Array.from({ length: depth }, () => new TransformerBlock(channels, block));
    this.projOut = project();
  }

  /** x [B, H, W, C], context [B, M, contextChannels], contextBias [B, 1, 1, M] → [B, H, W, C] */
  override *stages(x: tf.Tensor4D, context: tf.Tensor3D, contextBias?: tf.Tensor4D): Stages<tf.Tensor4D> {
    const [batch, height, width, channels] = x.shape;
    let h: tf.Tensor3D = tf.reshape(this.projIn.apply(this.norm.apply(x)), [batch, height * width, channels]);
    for (const block of this.transformerBlocks) {
      h = block.apply(h, context, contextBias);
      yield [h];
    }
    return tf.add(x, this.projOut.apply(tf.reshape(h, x.shape)));
  }
}
