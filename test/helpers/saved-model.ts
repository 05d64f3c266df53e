import { readFile } from "node:fs/promises";
import * as tf from "@tensorflow/tfjs-core";
import type { Layer } from "../../src/layers/index.ts";
import type { TextEncoding } from "../../src/models/text-encoding.ts";
import { loadWeights, openSafetensors, type WeightSource } from "../../src/weights/index.ts";
import { expectedPath, openExpected, readTensor, relativeError } from "./expected.ts";

/** The config.json that the reference saved beside a model: `readConfig("text/clip")`. */
export async function readConfig(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(expectedPath(`${folder}/config.json`), "utf8"));
}

/** The names and shapes of a full-size model's tensors, sorted: "text_model.final_layer_norm.weight 768". */
export async function readStructure(folder: string): Promise<string[]> {
  return (await readFile(expectedPath(`${folder}/tensors.txt`), "utf8")).trim().split("\n").toSorted();
}

/** Loads the weights that the reference saved, and opens what it computed with them. */
export async function loadExpected(model: Layer, folder: string): Promise<WeightSource> {
  const weights = await openSafetensors(expectedPath(`${folder}/model.safetensors`));
  await loadWeights(model, weights);
  await weights.close();
  return openExpected(`${folder}/expected.safetensors`);
}

export async function readIds(expected: WeightSource, name = "ids"): Promise<tf.Tensor2D> {
  return tf.cast(await readTensor(expected, name), "int32") as tf.Tensor2D;
}

/** The relative errors of an encoding's three tensors. */
export async function textErrors(encoding: TextEncoding, expected: WeightSource, prefix: string): Promise<number[]> {
  const { lastHiddenState, penultimateHiddenState, pooled } = encoding;
  const outputs = { last_hidden_state: lastHiddenState, penultimate_hidden_state: penultimateHiddenState, pooled };
  const errors: number[] = [];
  for (const [name, output] of Object.entries(outputs)) {
    errors.push(await relativeError(output, await readTensor(expected, `${prefix}.${name}`)));
  }
  return errors;
}
