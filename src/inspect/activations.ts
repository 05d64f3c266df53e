import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";
import { GroupNorm, type Layer, LayerNorm, Linear, layers, observe, runStages, type Stages } from "../layers/index.ts";
import { type TensorData, toTensor } from "../pipelines/tensor-data.ts";
import { TorchCpuGenerator } from "../random/index.ts";
import { fromFloat32, type LazyTensor, toFloat32, type WeightSource, writeSafetensors } from "../weights/index.ts";
import type { InputSpecs, Inputs, Runnable } from "./runnable.ts";

/** Arguments of a model by their names in Python, in PyTorch's layout. */
export type Arguments = ReadonlyMap<string, TensorData>;

export interface RunOptions {
  signal?: AbortSignal | undefined;
  /** Called now and then with the number of layers that have returned. */
  onProgress?: ((layers: number) => void) | undefined;
}

/** The name of what the model itself returns; what a layer returns is under `outputs/` and its path. */
const rootName = "output";
const inputPrefix = "inputs/";
const outputPrefix = "outputs/";

function outputName(path: string): string {
  return path ? outputPrefix + path : rootName;
}

/** Values for all arguments of a model, drawn from a seed. */
export function drawArguments(specs: InputSpecs, seed: number): Arguments {
  const drawn = Object.entries(specs).map(([name, { shape, values }], index): [string, TensorData] => {
    if (Array.isArray(values)) return [name, { shape, data: Float32Array.from(values) }];
    const normals = new TorchCpuGenerator(seed + index).randn(tf.util.sizeFromShape([...shape]));
    if (values === "normal") return [name, { shape, data: normals }];
    const { below } = values as { below: number };
    return [name, { shape, data: normals.map((x) => Math.floor((Math.abs(1000 * x) % 1) * below)) }];
  });
  return new Map(drawn);
}

/** The arguments that a recording holds. @throws InputError where it has none */
export async function readArguments(recording: WeightSource): Promise<Arguments> {
  const names = [...recording.entries.keys()].filter((name) => name.startsWith(inputPrefix));
  if (names.length === 0) {
    throw new InputError(
      `${recording.path} has no tensor whose name starts with "${inputPrefix}": it is no recording.`,
    );
  }
  const values = new Map<string, TensorData>();
  for (const name of names) values.set(name.slice(inputPrefix.length), await readTensor(recording, name));
  return values;
}

async function readTensor(source: WeightSource, name: string): Promise<TensorData> {
  const { dtype, shape } = source.entries.get(name)!;
  return { shape, data: toFloat32(await source.read(name), dtype) };
}

/**
 * Runs a model whose weights are loaded, and gives what each layer returned, in the order in which they return. `wanted`
 * chooses by path; the model itself has the path "". The tensor belongs to the receiver.
 * @throws InputError where an argument is missing, unknown, or holds what the model can't take
 */
async function run(
  model: Runnable,
  values: Arguments,
  receive: (path: string, output: tf.Tensor) => void,
  wanted: (path: string) => boolean,
  { signal, onProgress }: RunOptions,
): Promise<void> {
  let count = 0;
  const stop = observe(
    model.model,
    (path, output) => {
      receive(path, tf.keep(tf.clone(output)));
      count++;
    },
    (path) => path !== "" && wanted(path),
  );
  try {
    const onStage = () => onProgress?.(count);
    const outputs = await runStages(model.stages(inputsFrom(model, values)) as Stages<tf.Tensor[]>, {
      signal,
      onStage,
    });
    for (const output of outputs) {
      if (wanted("")) receive("", output);
      else output.dispose();
    }
  } finally {
    stop();
  }
}

function inputsFrom({ takes }: Runnable, values: Arguments): Inputs {
  for (const [name, { data }] of values) {
    const below = Object.hasOwn(takes, name) ? takes[name] : undefined;
    if (below === undefined) {
      throw new InputError(`The model takes no argument "${name}"; it takes ${Object.keys(takes).join(", ")}.`);
    }
    if (below !== "float" && !data.every((id) => Number.isInteger(id) && id >= 0 && id < below)) {
      throw new InputError(`The argument "${name}" must hold whole numbers from 0 to ${below - 1}.`);
    }
  }
  const numbers = (name: string): TensorData => {
    const value = values.get(name);
    if (value) return value;
    throw new InputError(`The model needs an argument "${name}", and only ${[...values.keys()].join(", ")} are given.`);
  };
  return {
    has: (name) => values.has(name),
    numbers,
    tensor: <T extends tf.Tensor>(name: string, dtype: tf.DataType = "float32") =>
      tf.tidy(() => tf.cast(toTensor(numbers(name)), dtype)) as T,
  };
}

/**
 * Does work that begins reads while it goes on, and ends when all of them have ended, so that nothing is closed or freed under
 * one. A read that fails is heard at the end; until then nobody waits for it, and the process would end with it.
 */
async function withReads(work: (begin: (read: Promise<unknown>) => void) => Promise<void>): Promise<void> {
  const reads: Promise<unknown>[] = [];
  try {
    await work((read) => {
      read.catch(() => {});
      reads.push(read);
    });
  } finally {
    await Promise.allSettled(reads);
  }
  await Promise.all(reads);
}

/** What each layer returned, by path and in PyTorch's layout, in the order in which they return. */
export async function recordActivations(
  model: Runnable,
  values: Arguments,
  { wanted = () => true, ...options }: RunOptions & { wanted?: (path: string) => boolean } = {},
): Promise<Map<string, TensorData>> {
  const byPath = new Map(layers(model.model));
  const outputs = new Map<string, TensorData>();
  await withReads((begin) => {
    const receive = (path: string, output: tf.Tensor): void => {
      const isTurned = output.rank === 4 && hasChannelsSecond(byPath.get(path)!, 4);
      const stored = isTurned ? tf.keep(tf.transpose(output, [0, 3, 1, 2])) : output;
      outputs.set(path, { shape: stored.shape, data: new Float32Array() }); // its place, for the order
      const read = stored
        .data()
        .then((data) => outputs.set(path, { shape: stored.shape, data: Float32Array.from(data) }));
      begin(read.finally(() => tf.dispose([stored, output])));
    };
    return run(model, values, receive, wanted, options);
  });
  return outputs;
}

export interface Recording {
  /** The folder that the model has in a system: "unet". */
  component: string;
  inputs: Arguments;
  outputs: ReadonlyMap<string, TensorData>;
}

/** Writes a recording in the form that the Python recorder has. See docs/observe.md. */
export async function saveRecording(
  path: string,
  { component, inputs, outputs }: Recording,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const tensors = [
    ...[...inputs].map(([name, value]) => stored(inputPrefix + name, value)),
    ...[...outputs].map(([path, value]) => stored(outputName(path), value)),
  ];
  await writeSafetensors(path, tensors, { metadata: { component }, signal });
}

function stored(name: string, { shape, data }: TensorData): LazyTensor {
  return { name, shape, dtype: "F32", pieces: () => [fromFloat32(data, "F32")] };
}

/** How far a layer's output is from the recorded one. */
export interface LayerError {
  /** "" is the model itself. */
  path: string;
  /** The largest difference, divided by the largest recorded magnitude. */
  error: number;
  /** The largest difference. */
  difference: number;
}

export interface Comparison {
  /** In the order in which the layers return. */
  layers: LayerError[];
  /** Recorded, but without a layer of that path in the model. */
  unmatched: string[];
}

/**
 * Runs a model with a recording's arguments and compares what its layers return.
 * @throws InputError where the recording does not belong to the model
 */
export async function compareActivations(
  model: Runnable,
  recording: WeightSource,
  options: RunOptions = {},
): Promise<Comparison> {
  const paths = new Map(
    [...recording.entries.keys()]
      .filter((name) => name === rootName || name.startsWith(outputPrefix))
      .map((name) => [name === rootName ? "" : name.slice(outputPrefix.length), name]),
  );
  const byPath = new Map(layers(model.model));
  const values = await readArguments(recording);
  const found = new Map<string, LayerError>();
  const measure = async (path: string, output: tf.Tensor): Promise<void> => {
    const actual = await output.data();
    const recorded = await readTensor(recording, paths.get(path)!);
    if (recorded.data.length !== actual.length) {
      throw new InputError(
        `${recording.path} has ${paths.get(path)} of shape [${recorded.shape}], but the layer returns [${output.shape}].`,
      );
    }
    const isTurned = hasChannelsSecond(byPath.get(path)!, recorded.shape.length);
    const expected = isTurned ? channelsLast(recorded) : recorded.data;
    found.set(path, { path, ...distance(actual, expected) });
  };
  await withReads((begin) => {
    const receive = (path: string, output: tf.Tensor): void => {
      found.set(path, { path, error: 0, difference: 0 }); // its place, for the order
      begin(measure(path, output).finally(() => output.dispose()));
    };
    return run(model, values, receive, (path) => paths.has(path), options);
  });
  return { layers: [...found.values()], unmatched: [...paths.keys()].filter((path) => !found.has(path)) };
}

/** Whether PyTorch has the channels of a layer's output at the second place, and not at the last as we. */
function hasChannelsSecond(layer: Layer, rank: number): boolean {
  if (layer instanceof Linear || layer instanceof LayerNorm) return false;
  return rank === 4 || (rank > 2 && layer instanceof GroupNorm);
}

/** [B, C, ...] as the numbers of [B, ..., C]. */
function channelsLast({ shape, data }: TensorData): Float32Array {
  const [batch, channels] = shape as [number, number];
  const cells = data.length / (batch * channels);
  const turned = new Float32Array(data.length);
  for (let b = 0; b < batch; b++) {
    for (let c = 0; c < channels; c++) {
      const from = (b * channels + c) * cells;
      for (let cell = 0; cell < cells; cell++) turned[(b * cells + cell) * channels + c] = data[from + cell]!;
    }
  }
  return turned;
}

function distance(actual: ArrayLike<number>, expected: Float32Array): { error: number; difference: number } {
  let [difference, magnitude] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const d = Math.abs(actual[i]! - expected[i]!);
    if (!(d <= difference)) difference = Number.isNaN(d) ? Number.POSITIVE_INFINITY : d;
    magnitude = Math.max(magnitude, Math.abs(expected[i]!));
  }
  const error = difference === 0 ? 0 : difference / magnitude;
  return { error: Number.isNaN(error) ? Number.POSITIVE_INFINITY : error, difference };
}
