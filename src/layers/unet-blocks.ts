import * as tf from "@tensorflow/tfjs-core";
import { Downsample, type DownsampleOptions } from "./downsample.ts";
import { ResnetBlock, type ResnetBlockOptions } from "./resnet-block.ts";
import { SpatialTransformer, type SpatialTransformerOptions } from "./spatial-transformer.ts";
import { keeping, StagedLayer, type Stages } from "./stages.ts";
import { Upsample } from "./upsample.ts";

/** What every block of a UNet is told beside the picture. */
export interface Conditioning {
  /** The embedding of the time and of what goes with it, [B, T]. */
  temb: tf.Tensor2D;
  /** The text, [B, M, C]. */
  context: tf.Tensor3D;
  /** Added to the attention scores of the text's tokens, [B, 1, 1, M]. */
  contextBias?: tf.Tensor4D | undefined;
}

/** The transformers of a block, one after each resnet. `depths` has an entry for each. */
export interface BlockTransformers extends Omit<SpatialTransformerOptions, "depth"> {
  depths: readonly number[];
}

interface BlockOptions {
  resnet: ResnetBlockOptions;
  /** Undefined in a block without attention. */
  transformers?: BlockTransformers | undefined;
}

/** B batch, H W height and width, C channels. */
type Picture = tf.Tensor4D;

/** Resnets, each followed by a transformer where the block has them, then half the size. */
export class DownBlock extends StagedLayer<[x: Picture, Conditioning], { h: Picture; skips: Picture[] }> {
  resnets: ResnetBlock[];
  attentions: SpatialTransformer[];
  downsamplers: Downsample[];

  /** @param downsample undefined in the last block, which keeps the size */
  constructor(
    inChannels: number,
    outChannels: number,
    {
      layers,
      resnet,
      transformers,
      downsample,
    }: BlockOptions & { layers: number; downsample: DownsampleOptions | undefined },
  ) {
    super();
    this.resnets = Array.from(
      { length: layers },
      (_, i) => new ResnetBlock(i === 0 ? inChannels : outChannels, outChannels, resnet),
    );
    this.attentions = spatialTransformers(outChannels, transformers);
    this.downsamplers = downsample ? [new Downsample(outChannels, downsample)] : [];
  }

  /** x [B, H, W, in] → h [B, H/2, W/2, out], and what the way up will want: each layer's output, h the last of them */
  override *stages(x: Picture, { temb, context, contextBias }: Conditioning): Stages<{ h: Picture; skips: Picture[] }> {
    const skips: Picture[] = [];
    let h = x;
    for (const [i, resnet] of this.resnets.entries()) {
      h = resnet.apply(h, temb);
      const attention = this.attentions[i];
      if (attention) h = yield* keeping([...skips, h], attention.stages(h, context, contextBias));
      skips.push(h);
      yield [...skips];
    }
    for (const downsample of this.downsamplers) {
      h = downsample.apply(h);
      skips.push(h);
    }
    return { h, skips };
  }
}

/** A resnet, then a transformer and a second resnet where the block has attention. */
export class MidBlock extends StagedLayer<[x: Picture, Conditioning], Picture> {
  attentions: SpatialTransformer[];
  resnets: ResnetBlock[];

  constructor(channels: number, { resnet, transformers }: BlockOptions) {
    super();
    this.attentions = spatialTransformers(channels, transformers);
    this.resnets = Array.from(
      { length: this.attentions.length + 1 },
      () => new ResnetBlock(channels, channels, resnet),
    );
  }

  /** x [B, H, W, C] → the same shape */
  override *stages(x: Picture, { temb, context, contextBias }: Conditioning): Stages<Picture> {
    let h = this.resnets[0]!.apply(x, temb);
    for (const [i, attention] of this.attentions.entries()) {
      yield [h];
      h = yield* keeping([h], attention.stages(h, context, contextBias));
      yield [h];
      h = this.resnets[i + 1]!.apply(h, temb);
    }
    return h;
  }
}

/** Resnets over the picture with a skip beside it, each followed by a transformer where the block has them; then twice the size. */
export class UpBlock extends StagedLayer<[x: Picture, skips: Picture[], Conditioning], Picture> {
  resnets: ResnetBlock[];
  attentions: SpatialTransformer[];
  upsamplers: Upsample[];

  /** @param skipChannels of the skips in the order in which they are taken; there is a resnet for each */
  constructor(
    inChannels: number,
    skipChannels: readonly number[],
    outChannels: number,
    { resnet, transformers, upsample }: BlockOptions & { upsample: boolean },
  ) {
    super();
    this.resnets = skipChannels.map(
      (skip, i) => new ResnetBlock((i === 0 ? inChannels : outChannels) + skip, outChannels, resnet),
    );
    this.attentions = spatialTransformers(outChannels, transformers);
    this.upsamplers = upsample ? [new Upsample(outChannels)] : [];
  }

  /** x [B, H, W, in] → [B, 2H, 2W, out]. It takes its skips from the end of the list: what it leaves is for later blocks. */
  override *stages(x: Picture, skips: Picture[], { temb, context, contextBias }: Conditioning): Stages<Picture> {
    let h = x;
    for (const [i, resnet] of this.resnets.entries()) {
      h = resnet.apply(tf.concat([h, skips.pop()!], 3), temb);
      const attention = this.attentions[i];
      if (attention) h = yield* keeping([h], attention.stages(h, context, contextBias));
      yield [h];
    }
    // To the size of the next skip: an odd one is not twice its half.
    const next = skips.at(-1)?.shape;
    for (const upsample of this.upsamplers) h = upsample.apply(h, next && [next[1], next[2]]);
    return h;
  }
}

function spatialTransformers(channels: number, transformers: BlockTransformers | undefined): SpatialTransformer[] {
  if (!transformers) return [];
  const { depths, ...options } = transformers;
  return depths.map((depth) => new SpatialTransformer(channels, { ...options, depth }));
}
