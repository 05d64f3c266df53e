import { join } from "node:path";
import { fieldsOf } from "../config.ts";
import { ConfigError, InputError } from "../errors.ts";
import { readJsonFile } from "../files.ts";
import { ClipTextModel } from "../models/clip-text.ts";
import { modelFrom } from "../models/model-from.ts";
import type { TextMask } from "../models/siglip-text.ts";
import { SiglipTextModel } from "../models/siglip-text.ts";
import { LazyModel, modelDefaults, openParts } from "../pipelines/index.ts";
import { readJsonIfThere } from "../pipelines/models-in.ts";
import { encodeTexts } from "../pipelines/text.ts";
import { openTokenizer, type Tokenizer } from "../tokenizers/index.ts";
import { openWeights, partOf } from "../weights/index.ts";
import { type FeatureOptions, isFile } from "./picture-encoder.ts";

/** CLIP's text tower with its tokenizer: captions to vectors, on the active backend. */
export class CaptionEncoder {
  readonly #model: LazyModel<SiglipTextModel | ClipTextModel>;
  readonly #tokenizer: Tokenizer;
  readonly #textMask: TextMask;

  constructor(model: LazyModel<SiglipTextModel | ClipTextModel>, tokenizer: Tokenizer, textMask: TextMask) {
    this.#model = model;
    this.#tokenizer = tokenizer;
    this.#textMask = textMask;
  }

  /** The pooled vector of each caption, not normalized. Captions that are too long are cut. */
  async features(captions: readonly string[], options: FeatureOptions = {}): Promise<Float32Array[]> {
    await this.#model.load(options);
    const settings = { textMask: this.#textMask, textHiddenState: "last", signal: options.signal } as const;
    const { texts } = await encodeTexts(captions, this.#tokenizer, this.#model.model, settings);
    return captions.map((caption) => texts.get(caption)!.pooled.data);
  }

  /** Frees the weights. */
  dispose(): void {
    this.#model.unload();
  }
}

/**
 * Opens the text encoder of a pipeline's folder, or the text tower of a CLIP as transformers saves one; which mask it has is said
 * by the folder's `generation_config.json`. Weights are read when they are needed.
 *
 * @throws InputError, ConfigError where there is none, or it or its tokenizer is not supported
 */
export async function openCaptionEncoder(path: string): Promise<CaptionEncoder> {
  if (await isFile(join(path, "model_index.json"))) {
    const { textEncoder, tokenizer, defaults } = await openParts(path);
    return new CaptionEncoder(textEncoder, tokenizer, defaults.textMask);
  }
  const where = join(path, "config.json");
  const json = fieldsOf(await readJsonFile(where), where);
  if (json.text_config === undefined) {
    throw new InputError(`${where} has no text_config: a model of pictures alone can't compare them with captions.`);
  }
  const model = textModelOf(fieldsOf(json.text_config, `${where}, text_config`), json, where);
  const defaultsPath = join(path, "generation_config.json");
  const { textMask } = modelDefaults([], await readJsonIfThere(defaultsPath), defaultsPath);
  const tokenizer = await openTokenizer(path, undefined, model.embeddings.positionEmbedding.weight.shape[0]);
  const lazy = new LazyModel("text encoder", model, async () =>
    partOf(await openWeights(path), (name) => /^text_(model|projection)\./.test(name)),
  );
  return new CaptionEncoder(lazy, tokenizer, textMask);
}

/** In a CLIPModel the text tower always has its projection, whose width is said outside of text_config. */
function textModelOf(text: Record<string, unknown>, json: Record<string, unknown>, where: string) {
  const isSiglip = text.model_type === "siglip_text_model";
  const model = isSiglip
    ? modelFrom("SiglipTextModel", json, where)
    : modelFrom("CLIPTextModelWithProjection", { projection_dim: json.projection_dim, ...text }, where);
  if (model instanceof SiglipTextModel || model instanceof ClipTextModel) return model;
  throw new ConfigError(`${where}: text_config is of no text tower of CLIP's or SigLIP's.`);
}
