import type { Picture } from "../../image/index.ts";
import type { Autoencoder } from "../../models/autoencoder.ts";
import { pixelsPerCell } from "../../models/autoencoder-config.ts";
import type { SiglipTextModel } from "../../models/siglip-text.ts";
import type { UNet } from "../../models/unet.ts";
import { prepareCanvases } from "../../pipelines/canvas.ts";
import { decodeLatents, toPicture } from "../../pipelines/decode.ts";
import { modelDefaults } from "../../pipelines/defaults.ts";
import { denoise } from "../../pipelines/denoise.ts";
import { type GenerateOptions, resolveRequest } from "../../pipelines/request.ts";
import { encodeTexts } from "../../pipelines/text.ts";
import type { Scheduler } from "../../schedulers/index.ts";
import type { Tokenizer } from "../../tokenizers/index.ts";

/** Loaded models that make pictures of prompts. */
export interface SampleModels {
  readonly unet: UNet;
  readonly autoencoder: Autoencoder;
  readonly textEncoder: SiglipTextModel;
  readonly tokenizer: Tokenizer;
}

/** Pictures as the pipeline draws them, of models that are in memory and stay there. */
export async function drawSamples(
  { unet, autoencoder, textEncoder, tokenizer }: SampleModels,
  scheduler: Scheduler,
  options: GenerateOptions,
): Promise<Picture[]> {
  const request = resolveRequest(options, {
    defaults: modelDefaults([], {}, ""),
    cell: pixelsPerCell(autoencoder.config),
    latentChannels: unet.config.inChannels,
  });
  const { texts } = await encodeTexts([...request.prompts, ""], tokenizer, textEncoder, request);
  const models = { unet: { model: unet }, autoencoder: { model: autoencoder } };
  const canvases = await prepareCanvases(request, texts, { ...models, scheduler, forceZerosForEmptyPrompt: false });
  for await (const _ of denoise(canvases, unet, request));
  const latents = canvases.map((canvas) => canvas.latents);
  return (await decodeLatents(latents, autoencoder, request)).map(toPicture);
}
