import type { ImageProcessor } from "../image/index.ts";
import type { Autoencoder } from "../models/autoencoder.ts";
import type { ClipTextModel } from "../models/clip-text.ts";
import type { SiglipTextModel } from "../models/siglip-text.ts";
import type { SwinForImageClassification } from "../models/swin.ts";
import type { UNet } from "../models/unet.ts";
import type { Scheduler } from "../schedulers/index.ts";
import type { Tokenizer } from "../tokenizers/index.ts";
import type { ModelDefaults } from "./defaults.ts";
import type { LazyModel } from "./lazy-model.ts";

/** The parts that make a picture together. `openPipeline` finds them in a folder. */
export interface PipelineParts {
  /** Makes the backend that this pipeline computes on the active one of tfjs, if it is another. */
  useBackend: () => Promise<void>;
  tokenizer: Tokenizer;
  textEncoder: LazyModel<SiglipTextModel | ClipTextModel>;
  unet: LazyModel<UNet>;
  autoencoder: LazyModel<Autoencoder>;
  scheduler: Scheduler;
  /** The check for likeness to known characters, and how it wants its pictures prepared. */
  classifier?: { model: LazyModel<SwinForImageClassification>; processor: ImageProcessor } | undefined;
  defaults: ModelDefaults;
  /** Whether a negative prompt that is not given stands for zeros, instead of for an empty text. */
  forceZerosForEmptyPrompt: boolean;
}

/** All that have weights. */
export function modelsOf({ textEncoder, unet, autoencoder, classifier }: PipelineParts): LazyModel[] {
  return [textEncoder, unet, autoencoder, ...(classifier ? [classifier.model] : [])];
}
