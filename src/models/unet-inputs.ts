import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import type { UNetConditions } from "./unet.ts";
import type { UNetConfig } from "./unet-config.ts";

interface UNetInputs {
  latents: tf.Tensor4D;
  times: readonly number[];
  context: tf.Tensor3D;
  conditions: UNetConditions;
}

/** @throws InputError that says which input does not fit the configuration, or the others */
export function checkInputs(config: UNetConfig, { latents, times, context, conditions }: UNetInputs): void {
  const [batch, height, width] = latents.shape;
  const tokens = context.shape[1];
  checkShape("latents", latents, [batch, height, width, config.inChannels]);
  checkShape("a text", context, [batch, tokens, config.textChannels ?? config.contextChannels]);
  if (conditions.contextMask) checkShape("a mask of the text", conditions.contextMask, [batch, tokens]);
  if (times.length !== batch || !times.every(Number.isFinite)) {
    throw new InputError(`The UNet takes a timestep for each of its ${batch} pictures, and was given [${times}].`);
  }
  checkTextTime(config.textTime, conditions, batch);
  checkClasses(config, conditions, batch);
  if (conditions.timeCondition) {
    checkShape("a condition of the time", conditions.timeCondition, [batch, config.time.conditionChannels ?? 0]);
  }
}

function checkTextTime(textTime: UNetConfig["textTime"], { pooled, timeIds }: UNetConditions, batch: number): void {
  if (!textTime) {
    if (pooled || timeIds) throw new InputError("This UNet takes no pooled text and no time ids.");
    return;
  }
  const count = timeIds?.[0]?.length;
  if (!pooled || count === undefined || timeIds?.length !== batch || timeIds.some((ids) => ids.length !== count)) {
    throw new InputError(
      `This UNet needs a pooled text and the same number of time ids for each of its ${batch} pictures.`,
    );
  }
  checkShape("a pooled text", pooled, [batch, textTime.channels - count * textTime.sinusoidChannels]);
}

function checkClasses({ classEmbedding, time }: UNetConfig, { classLabels }: UNetConditions, batch: number): void {
  if (!classEmbedding) {
    if (classLabels) throw new InputError("This UNet takes no class labels.");
    return;
  }
  const { kind, inChannels = time.channels } = classEmbedding;
  if (kind === "table" || kind === "timestep") {
    const isClass = (label: number) =>
      kind === "timestep" || (Number.isInteger(label) && label >= 0 && label < inChannels);
    if (Array.isArray(classLabels) && classLabels.length === batch && classLabels.every(isClass)) return;
    const wanted = kind === "table" ? `a class from 0 to ${inChannels - 1}` : "a number as its class label";
    throw new InputError(`This UNet needs ${wanted} for each of its ${batch} pictures.`);
  }
  if (classLabels instanceof tf.Tensor) checkShape("class labels", classLabels, [batch, inChannels]);
  else throw new InputError(`This UNet needs class labels that are vectors of ${inChannels} channels.`);
}

function checkShape(name: string, tensor: tf.Tensor, shape: readonly number[]): void {
  if (tf.util.arraysEqual(tensor.shape, [...shape])) return;
  throw new InputError(`The UNet was given ${name} of shape [${tensor.shape}] where [${shape}] fits.`);
}
