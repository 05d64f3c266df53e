import * as tf from "@tensorflow/tfjs-core";
import { memoryLimit, weightBytes } from "../backends/index.ts";
import { WeightsError } from "../errors.ts";
import type { Layer } from "../layers/layer.ts";
import { Parameter } from "../layers/parameter.ts";
import { nextTurn, ownParts } from "../layers/stages.ts";
import { parameters } from "../layers/tree.ts";
import { compareWeights, describeDifferences } from "./compare.ts";
import { areFinite, fromFloat32, isFiniteStored, toFloat32 } from "./dtypes.ts";
import { halfTensor, keepsHalves, mapTensor } from "./map.ts";
import { withUsualNames } from "./names.ts";
import { inverse, permute } from "./permute.ts";
import { notFinite, readPieces } from "./pieces.ts";
import { type LazyTensor, writeSafetensors } from "./safetensors.ts";
import { byteLength, type Dtype, quoted, type TensorEntry, type WeightSource } from "./source.ts";

export interface LoadOptions {
  /**
   * Whether weights are left where they are stored, and each block's are read whenever the model runs, for as long as the
   * block computes. By default where they would take more than three quarters of what the backend can hold.
   */
  streamed?: boolean | undefined;
  /** Heard between pieces of a tensor: loading ends with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Called after every piece with the bytes read so far and the bytes to read. */
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Weights of up to so many bytes are read whatever the backend can: it takes a moment, and leaves the file free. */
const soonRead = 16 * 2 ** 20;

/** Milliseconds after which the event loop turns: for each of a thousand weights in their file that would take longer than they do. */
const longestTurn = 5;

/** The share of what a backend can hold that weights may take; the rest is for what is computed. */
const weightsShare = 0.75;

/**
 * Fills the parameters of a model from a source, one at a time. Names, shapes and kinds of number must agree, both
 * ways, and are compared before a weight is read; old and foreign names are understood. Where anything fails,
 * what was loaded is freed.
 *
 * A backend that can compute with weights where they lie in their file gets large ones so: nothing is read then, it takes
 * milliseconds, and whether all numbers are finite shows in what is computed. The file must stay as it is.
 *
 * A backend of precision "float16" keeps every weight as float16, rounded to the nearest, ties to even.
 *
 * Weights that are too large for what the backend can hold are streamed: only those outside the model's blocks (its staged
 * layers) are read now, the others in every run by `runStages`, block by block. The source may be closed, but must stay as
 * it is; where it does not, the run ends with a WeightsError. Such a model has no `apply`.
 *
 * @throws WeightsError where the weights do not fit the model (it lists every difference) or are not finite.
 */
export async function loadWeights(model: Layer, source: WeightSource, options: LoadOptions = {}): Promise<void> {
  const weights = sourceThatFits(model, source);
  const isStreamed = options.streamed ?? isTooLarge(model);
  const resident = new Set([...ownParts(model)].filter((part) => part instanceof Parameter));
  const isRead = (parameter: Parameter) => !isStreamed || resident.has(parameter);
  const sizeOf = (name: string) => byteLength(weights.entries.get(name)!);
  const total = [...parameters(model)].reduce((sum, [name, one]) => sum + (isRead(one) ? sizeOf(name) : 0), 0);
  let done = 0;
  const tell = (bytes: number) => {
    done += bytes;
    options.onProgress?.(done, total);
  };
  const read = keepsHalves() ? readHalves : readWeight;
  const loaded: Parameter[] = [];
  let turned = performance.now();
  try {
    for (const [name, parameter] of parameters(model)) {
      options.signal?.throwIfAborted();
      if (!isRead(parameter)) {
        parameter.leave(() => read(weights, name, parameter, {}));
        loaded.push(parameter);
        continue;
      }
      const mapped = total > soonRead && !isStreamed ? mapTensor(weights, name) : undefined;
      const value = mapped ? turn(mapped, parameter) : await read(weights, name, parameter, { ...options, tell });
      if (mapped) tell(sizeOf(name));
      loaded.push(parameter);
      parameter.assign(value);
      if (mapped && performance.now() - turned > longestTurn) {
        await nextTurn(); // some backends have copied it
        turned = performance.now();
      }
    }
    options.signal?.throwIfAborted();
  } catch (error) {
    for (const parameter of loaded) parameter.dispose();
    throw error;
  }
}

function isTooLarge(model: Layer): boolean {
  const backend = tf.getBackend();
  const bytes = [...parameters(model)].reduce((sum, [, { shape }]) => sum + weightBytes(backend, shape), 0);
  return bytes > weightsShare * memoryLimit(backend);
}

/**
 * What `loadWeights` does first: compares names, shapes and kinds of number, both ways, from the header alone.
 *
 * @throws WeightsError where the weights do not fit the model: it lists every difference.
 */
export function checkWeights(model: Layer, source: WeightSource): void {
  sourceThatFits(model, source);
}

interface ReadOptions {
  signal?: AbortSignal | undefined;
  tell?: ((bytes: number) => void) | undefined;
}

/** The numbers of a weight in PyTorch's order, piece by piece. @throws WeightsError where one is not finite */
async function* readValues(
  weights: WeightSource,
  name: string,
  { signal, tell }: ReadOptions,
): AsyncGenerator<Float32Array> {
  for await (const piece of readPieces(weights, name)) {
    signal?.throwIfAborted();
    const part = toFloat32(piece, weights.entries.get(name)!.dtype);
    if (!areFinite(part)) throw notFinite(weights, name);
    yield part;
    tell?.(piece.length);
    await nextTurn();
  }
}

async function readWeight(
  weights: WeightSource,
  name: string,
  { size, shape, axes, valueShape }: Parameter,
  options: ReadOptions,
): Promise<tf.Tensor> {
  const values = new Float32Array(size);
  let position = 0;
  for await (const part of readValues(weights, name, options)) {
    values.set(part, position);
    position += part.length;
  }
  return tf.tensor(permute(values, shape, axes), valueShape, "float32");
}

/** A weight that is kept as float16. @throws WeightsError where one of its numbers is too large for that */
async function readHalves(
  weights: WeightSource,
  name: string,
  parameter: Parameter,
  options: ReadOptions,
): Promise<tf.Tensor> {
  const bits = new Uint8Array(2 * parameter.size);
  let position = 0;
  for await (const part of readValues(weights, name, options)) {
    const piece = fromFloat32(part, "F16");
    if (!isFiniteStored(piece, "F16")) throw tooLargeForHalf(weights, name);
    bits.set(piece, position);
    position += piece.length;
  }
  return turn(halfTensor(new Uint16Array(bits.buffer), parameter.shape), parameter);
}

function tooLargeForHalf({ path }: WeightSource, name: string): WeightsError {
  return new WeightsError(
    `${path}: tensor ${quoted(name)} has values that float16 can't hold, of which 65504 is the largest. Use the precision "float32".`,
  );
}

/** From PyTorch's layout to tfjs's. The tensor that is given is freed. */
function turn(tensor: tf.Tensor, { axes }: Parameter): tf.Tensor {
  const turned = tf.transpose(tensor, [...axes]);
  tensor.dispose();
  return turned;
}

/** The source as it is or under the usual names, whichever agrees with the model. */
function sourceThatFits(model: Layer, source: WeightSource): WeightSource {
  const asStored = compareWeights(model, source);
  if (asStored.length === 0) return source;
  const renamed = withUsualNames(source);
  const underUsualNames = compareWeights(model, renamed);
  if (underUsualNames.length === 0) return renamed;
  const fewer = underUsualNames.length < asStored.length ? underUsualNames : asStored;
  throw new WeightsError(describeDifferences(model, source, fewer));
}

export interface SaveOptions {
  /** How the weights are stored; F32 where it is not given. */
  dtype?: Extract<Dtype, "F32" | "F16" | "BF16">;
  signal?: AbortSignal | undefined;
  onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes a model's weights as a safetensors file, under their names and in PyTorch's layout, one at a time. The file is
 * there whole or not at all.
 *
 * @throws InputError where the file can't be written, WeightsError where a weight is too large for the dtype.
 */
export function saveWeights(
  model: Layer,
  path: string,
  { dtype = "F32", ...options }: SaveOptions = {},
): Promise<void> {
  const tensors = Array.from(parameters(model), ([name, { shape }]): TensorEntry & { name: string } => ({
    name,
    shape,
    dtype,
  }));
  const byName = new Map(parameters(model));
  const lazy = tensors.map(
    (tensor): LazyTensor => ({ ...tensor, pieces: () => pieces(path, tensor.name, byName.get(tensor.name)!, dtype) }),
  );
  return writeSafetensors(path, lazy, { metadata: { format: "pt" }, ...options });
}

async function* pieces(path: string, name: string, parameter: Parameter, dtype: Dtype): AsyncGenerator<Uint8Array> {
  const value = (await parameter.value.data()) as Float32Array;
  const bytes = fromFloat32(permute(value, parameter.valueShape, inverse(parameter.axes)), dtype);
  if (!areFinite(toFloat32(bytes, dtype))) {
    throw new WeightsError(`${path} is not written: tensor ${quoted(name)} has values that ${dtype} can't hold.`);
  }
  yield bytes;
}
