import {
  Autoencoder,
  type AutoencoderConfig,
  type ClipTextConfig,
  ClipTextModel,
  clipVitL,
  mitsuaJapaneseClip,
  mitsuaLikesAutoencoder,
  mitsuaLikesUNet,
  openClipVitBigG,
  openClipVitH,
  pixelsPerCell,
  SiglipTextModel,
  SwinForImageClassification,
  sdAutoencoder,
  sdxlAutoencoder,
  sdxlUNet,
  stableDiffusion15UNet,
  stableDiffusion21UNet,
  swinBase,
  UNet,
  type UNetConfig,
} from "../models/index.ts";
import type { Model } from "../models/model-from.ts";
import { positionsOf, type Size, type Surroundings } from "./runnable.ts";

/** The models that make a picture together, under the names that their folders have. */
export interface System {
  readonly name: string;
  readonly models: Readonly<Record<string, Model>>;
  /** Where the weights of each model are; empty for a preset. */
  readonly folders: Readonly<Record<string, string>>;
  /** The size of picture that it was made for. */
  readonly size: Size;
}

/** Published systems, from their configurations alone. No tensor is made. */
export const presets: Readonly<Record<string, () => System>> = {
  "mitsua-likes": () => ({
    name: "mitsua-likes",
    size: square(768),
    folders: {},
    models: {
      text_encoder: new SiglipTextModel(mitsuaJapaneseClip),
      unet: new UNet(mitsuaLikesUNet),
      vae: new Autoencoder(mitsuaLikesAutoencoder),
      // Its labels are not published; the base model's 1,000 stand in for them.
      character_detector: new SwinForImageClassification(swinBase),
    },
  }),
  "sd-1.5": () => stableDiffusion("sd-1.5", 512, { text: clipVitL, unet: stableDiffusion15UNet, vae: sdAutoencoder }),
  "sd-2.1": () =>
    stableDiffusion("sd-2.1", 768, { text: openClipVitH, unet: stableDiffusion21UNet, vae: sdAutoencoder }),
  sdxl: () => ({
    name: "sdxl",
    size: square(1024),
    folders: {},
    models: {
      text_encoder: new ClipTextModel(clipVitL),
      text_encoder_2: new ClipTextModel(openClipVitBigG),
      unet: new UNet(sdxlUNet),
      vae: new Autoencoder(sdxlAutoencoder),
    },
  }),
};

interface Parts {
  text: ClipTextConfig;
  unet: UNetConfig;
  vae: AutoencoderConfig;
}

function stableDiffusion(name: string, side: number, { text, unet, vae }: Parts): System {
  const models = { text_encoder: new ClipTextModel(text), unet: new UNet(unet), vae: new Autoencoder(vae) };
  return { name, size: square(side), folders: {}, models };
}

export function square(side: number): Size {
  return { width: side, height: side };
}

/** What a UNet's neighbours are. Alone it gets those of Stable Diffusion. */
export function surroundingsIn({ models }: Pick<System, "models">): Surroundings {
  const all = Object.values(models);
  const text = all.find((model) => model instanceof SiglipTextModel || model instanceof ClipTextModel);
  const vae = all.find((model) => model instanceof Autoencoder);
  return { tokens: text ? positionsOf(text) : 77, pixelsPerCell: vae ? pixelsPerCell(vae.config) : 8 };
}
