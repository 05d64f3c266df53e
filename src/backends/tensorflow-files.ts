import * as tf from "@tensorflow/tfjs-core";
import { changedFile, type OpenedFile } from "./onnxruntime/files.ts";
import type { Attribute, NodeBackend } from "./tensorflow-node.ts";

/** Where a tensor lies in a file. */
export interface FilePlace extends OpenedFile {
  readonly offset: number;
}

export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** Kinds of number that are read here, as TensorFlow counts them. */
const kinds: Readonly<Record<string, { type: number; bytes: number }>> = {
  F32: { type: 1, bytes: 4 },
  BF16: { type: 14, bytes: 2 },
  F16: { type: 19, bytes: 2 },
};

/**
 * A tensor of a file in TensorFlow's memory, as float32. JavaScript never holds it, which makes loading several times as fast.
 * Undefined of what should be read piece by piece, because that tells what is wrong: a file that has changed, numbers that
 * are not finite. Also of kinds that TensorFlow does not have.
 */
export function readTensor(backend: NodeBackend, place: FilePlace, stored: StoredTensor): tf.TensorInfo | undefined {
  const kind = kinds[stored.dtype];
  if (!kind || place.offset % kind.bytes !== 0 || changedFile([place])) return undefined;
  const { binding, tensorMap } = backend;
  const size = tf.util.sizeFromShape([...stored.shape]);

  const made: number[] = [];
  const keep = (id: number): number => {
    made.push(id);
    return id;
  };
  const run = (name: string, attributes: Attribute[], inputs: number[]): number =>
    keep(binding.executeOp(name, attributes, inputs, 1)[0]!.id);
  const type = (name: string, value: number): Attribute => ({ name, type: binding.TF_ATTR_TYPE, value });
  const integers = (values: readonly number[]): number =>
    keep(binding.createTensor([values.length], binding.TF_INT32, Int32Array.from(values)));
  // tfjs-node takes 64-bit integers as pairs of 32 bits.
  const position = (value: number): number =>
    keep(binding.createTensor([1], binding.TF_INT64, Int32Array.of(value, Math.floor(value / 2 ** 32))));

  try {
    // The whole file, mapped into memory: only the pages that are copied are read, and they are let go with it.
    const file = run(
      "ImmutableConst",
      [
        type("dtype", kind.type),
        { name: "shape", type: binding.TF_ATTR_SHAPE, value: [Math.floor(place.fileSize / kind.bytes)] },
        { name: "memory_region_name", type: binding.TF_ATTR_STRING, value: place.path },
      ],
      [],
    );
    const part = run(
      "Slice",
      [type("T", kind.type), type("Index", binding.TF_INT64)],
      [file, position(place.offset / kind.bytes), position(size)],
    );
    const cast = [type("SrcT", kind.type), type("DstT", binding.TF_FLOAT)];
    const floats = kind.type === binding.TF_FLOAT ? part : run("Cast", cast, [part]);
    const sum = run("Sum", [type("T", binding.TF_FLOAT), type("Tidx", binding.TF_INT32)], [floats, integers([0])]);
    if (!Number.isFinite(binding.tensorDataSync(sum)[0])) return undefined;

    const reshape = [type("T", binding.TF_FLOAT), type("Tshape", binding.TF_INT32)];
    const id = run("Reshape", reshape, [floats, integers(stored.shape)]);
    made.splice(made.indexOf(id), 1);
    const dataId = {};
    tensorMap.set(dataId, { id, shape: stored.shape, dtype: binding.TF_FLOAT, values: null, refCount: 1 });
    return { dataId, shape: [...stored.shape], dtype: "float32" };
  } finally {
    for (const id of made) binding.deleteTensor(id);
  }
}
