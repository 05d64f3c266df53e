import { join } from "node:path";
import * as tf from "@tensorflow/tfjs-core";
import { type BackendName, type BackendOptions, defaultBackend, isBackendName, useBackend } from "../backends/index.ts";
import { fieldsOf } from "../config.ts";
import { ConfigError, InputError } from "../errors.ts";
import { ImageProcessor, imageProcessorConfigFrom } from "../image/index.ts";
import { Autoencoder } from "../models/autoencoder.ts";
import { pixelsPerCell } from "../models/autoencoder-config.ts";
import { ClipTextModel } from "../models/clip-text.ts";
import type { Model } from "../models/model-from.ts";
import { SiglipTextModel } from "../models/siglip-text.ts";
import { SwinForImageClassification } from "../models/swin.ts";
import { UNet } from "../models/unet.ts";
import { openScheduler, type Scheduler } from "../schedulers/index.ts";
import { openTokenizer, type Tokenizer } from "../tokenizers/index.ts";
import { type Component, type ModelFolder, openModelFolder, openWeights, partOf } from "../weights/index.ts";
import type { ModelDefaults } from "./defaults.ts";
import { LazyModel } from "./lazy-model.ts";
import { defaultsIn, type FoundModel, modelsIn, readJsonIfThere } from "./models-in.ts";
import type { PipelineParts } from "./parts.ts";
import { Pipeline } from "./pipeline.ts";

export interface OpenOptions {
  /** What computes. By default the backend of tfjs that is active now, or the default where none is. */
  backend?: BackendName | undefined;
  /** How it computes; by default as it does now, where it is loaded. See `useBackend`. */
  backendOptions?: BackendOptions | undefined;
  /** A scheduler by its name ("ddim"), with the settings of the folder's own; by default the folder's own. */
  scheduler?: string | undefined;
}

/**
 * Opens a model's folder, as diffusers saves one or `convert` writes one. Components are found by their class, whatever they
 * are called. Configurations are read, weights are not: they come when a picture is asked for.
 *
 * @throws InputError, ConfigError where the folder or a component is missing, or not supported
 */
export async function openPipeline(path: string, options: OpenOptions = {}): Promise<Pipeline> {
  return new Pipeline(await openParts(path, options));
}

/** `openPipeline` for those who run single models of a folder too. */
export async function openParts(
  path: string,
  { backend, backendOptions, scheduler }: OpenOptions = {},
): Promise<PipelineParts> {
  const backendName = backend ?? (tf.getBackend() || defaultBackend);
  const folder = await openModelFolder(path);
  const models = await modelsIn(folder);
  const unet = theOne(models, path, "UNet2DConditionModel", (model) => model instanceof UNet);
  const autoencoder = theOne(models, path, "AutoencoderKL", (model) => model instanceof Autoencoder);
  const textEncoder = theOne(models, path, "SiglipTextModel or CLIPTextModel", isTextEncoder);
  const classifier = models.find((found) => found.model instanceof SwinForImageClassification);

  checkTogether(unet, autoencoder, textEncoder);
  return {
    useBackend: () => activate(backendName, backendOptions),
    tokenizer: await readTokenizer(folder, textEncoder.model),
    textEncoder: lazy(textEncoder),
    unet: lazy(unet),
    autoencoder: lazy(autoencoder),
    scheduler: await readScheduler(folder, scheduler),
    classifier: classifier && {
      model: lazy(classifier as FoundModel<SwinForImageClassification>),
      processor: await readProcessor(folder, classifier),
    },
    defaults: withSize(await defaultsIn(folder), unet.json, pixelsPerCell(autoencoder.model.config)),
    forceZerosForEmptyPrompt: readForceZeros(folder),
  };
}

/** Another pipeline may have made another backend the active one since. */
async function activate(name: string, options: BackendOptions | undefined): Promise<void> {
  if (tf.getBackend() === name && !options) return;
  if (isBackendName(name)) await useBackend(name, options);
  else await tf.setBackend(name); // one of the caller's own
}

/** @throws ConfigError where models do not belong together: said here, and not by a shape in the middle of the work */
function checkTogether(
  { model: { config: unet }, folder }: FoundModel<UNet>,
  autoencoder: FoundModel<Autoencoder>,
  textEncoder: FoundModel<SiglipTextModel | ClipTextModel>,
): void {
  const where = join(folder, "config.json");
  const refuse = (message: string): never => {
    throw new ConfigError(`${where}: ${message}`);
  };
  const { latentChannels } = autoencoder.model.config;
  if (unet.inChannels !== latentChannels || unet.outChannels !== latentChannels) {
    const beside = join(autoencoder.folder, "config.json");
    refuse(
      `the UNet takes ${unet.inChannels} channels and gives ${unet.outChannels}, but ${beside} has ${latentChannels} of latents.`,
    );
  }
  const [, width] = textEncoder.model.embeddings.tokenEmbedding.weight.shape;
  const wanted = unet.textChannels ?? unet.contextChannels;
  if (width !== wanted) {
    refuse(
      `the UNet attends to text of ${wanted} channels, but ${join(textEncoder.folder, "config.json")} makes ${width}.`,
    );
  }
  if (unet.classEmbedding) refuse("the UNet wants a class for each picture, which a pipeline from text does not have.");
  if (unet.time.conditionChannels)
    refuse("the UNet is told the guidance scale (time_cond_proj_dim), which pipelines do not support yet.");
}

function theOne<M extends Model>(
  models: readonly FoundModel[],
  path: string,
  wanted: string,
  isWanted: (model: Model) => model is M,
): FoundModel<M> {
  const found = models.filter((candidate): candidate is FoundModel<M> => isWanted(candidate.model));
  if (found.length === 1) return found[0]!;
  const present = models.map(({ name, model }) => `${name} (${model.constructor.name})`).join(", ") || "none";
  const reason =
    found.length === 0
      ? `has no ${wanted}, which it needs`
      : `has ${found.length} of ${wanted}, and only one is supported yet`;
  throw new ConfigError(`The pipeline in ${path} ${reason}. The models that it names are: ${present}.`);
}

function isTextEncoder(model: Model): model is SiglipTextModel | ClipTextModel {
  return model instanceof SiglipTextModel || model instanceof ClipTextModel;
}

function lazy<M extends Model>({ name, model, folder, json }: FoundModel<M>): LazyModel<M> {
  // A CLIP that was saved whole has a picture tower too, and numbers that only training needs.
  const isWhole = typeof json === "object" && json !== null && "text_config" in json;
  return new LazyModel(name, model, async () => {
    const source = await openWeights(folder);
    return isWhole ? partOf(source, (weight) => /^text_(model|projection)\./.test(weight)) : source;
  });
}

function componentLike(folder: ModelFolder, pattern: RegExp): Component | undefined {
  const found = folder.components.find(({ className }) => pattern.test(className));
  return found && folder.find(found.className);
}

async function readTokenizer(folder: ModelFolder, { embeddings }: SiglipTextModel | ClipTextModel): Promise<Tokenizer> {
  const component = componentLike(folder, /Tokenizer(Fast)?$/);
  if (!component)
    throw new InputError(`The pipeline in ${folder.path} has no tokenizer: its model_index.json names none.`);
  const [vocabulary, positions] = [
    embeddings.tokenEmbedding.weight.shape[0]!,
    embeddings.positionEmbedding.weight.shape[0]!,
  ];
  const tokenizer = await openTokenizer(component.folder, component.className, positions);
  if (tokenizer.vocabularySize > vocabulary || tokenizer.length > positions) {
    throw new ConfigError(
      `${component.folder} does not belong to this text encoder: it makes ${tokenizer.length} tokens out of ` +
        `${tokenizer.vocabularySize}, the text encoder takes ${positions} out of ${vocabulary}.`,
    );
  }
  return tokenizer;
}

async function readScheduler(folder: ModelFolder, name: string | undefined): Promise<Scheduler> {
  const component = componentLike(folder, /Scheduler$/);
  if (!component)
    throw new InputError(`The pipeline in ${folder.path} has no scheduler: its model_index.json names none.`);
  const where = join(component.folder, "scheduler_config.json");
  const json = fieldsOf(await folder.readJson(component, "scheduler_config.json"), where);
  // Where the two do not agree, diffusers makes what model_index.json says, with the settings of the file.
  return openScheduler({ ...json, _class_name: component.className }, where, name);
}

function readForceZeros({ path, settings }: ModelFolder): boolean {
  const value = settings.force_zeros_for_empty_prompt ?? false;
  if (typeof value === "boolean") return value;
  const where = join(path, "model_index.json");
  throw new ConfigError(
    `${where}: the field "force_zeros_for_empty_prompt" is ${JSON.stringify(value)}; it must be true or false.`,
  );
}

/** The preprocessor_config.json of the classifier's own folder, or of a component of its own. */
async function readProcessor(folder: ModelFolder, classifier: FoundModel): Promise<ImageProcessor> {
  const component = componentLike(folder, /(ImageProcessor(Fast)?|FeatureExtractor)$/);
  const own = join(classifier.folder, "preprocessor_config.json");
  const apart = component && join(component.folder, "preprocessor_config.json");
  const json = (await readJsonIfThere(own)) ?? (apart && (await readJsonIfThere(apart)));
  return new ImageProcessor(imageProcessorConfigFrom(json, apart ?? own));
}

/** Where nobody says, pictures are as large as the UNet's training had them. */
function withSize(defaults: ModelDefaults, unetJson: unknown, cell: number): ModelDefaults {
  const { sample_size: sampleSize } = (unetJson ?? {}) as { sample_size?: unknown };
  const side = typeof sampleSize === "number" ? sampleSize * cell : undefined;
  return { ...defaults, width: defaults.width ?? side, height: defaults.height ?? side };
}
