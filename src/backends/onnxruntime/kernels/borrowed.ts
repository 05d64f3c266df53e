import * as tf from "@tensorflow/tfjs-core";

// Some kernels have no graph: how large their results are depends on the numbers, or they are about text. tfjs's backend "cpu"
// computes them where a program has imported it, of tensors whose numbers JavaScript has.

const dynamic = "how large its result is depends on the numbers, which are not known while a graph is recorded";
const text = "it is about text";

/** Kernels that are never part of a graph, and why. */
export const borrowed: Readonly<Record<string, string>> = {
  NonMaxSuppressionV3: dynamic,
  NonMaxSuppressionV4: dynamic,
  NonMaxSuppressionV5: dynamic,
  RaggedGather: dynamic,
  RaggedRange: dynamic,
  RaggedTensorToTensor: dynamic,
  SparseFillEmptyRows: dynamic,
  SparseReshape: dynamic,
  SparseSegmentMean: dynamic,
  SparseSegmentSum: dynamic,
  Unique: dynamic,
  StaticRegexReplace: text,
  StringNGrams: text,
  StringSplit: text,
  StringToHashBucketFast: text,
};

type Inputs = Readonly<Record<string, tf.TensorInfo | tf.TensorInfo[] | undefined>>;

/** A kernel's call, as tfjs makes it. */
export interface Call {
  readonly inputs: Inputs;
  // biome-ignore lint/suspicious/noExplicitAny: what tfjs passes differs from kernel to kernel
  readonly attrs?: any;
}

export function isAboutText({ inputs, attrs }: Call): boolean {
  const hasText = Object.values(inputs).some((input) => [input].flat().some((info) => info?.dtype === "string"));
  return hasText || attrs?.dtype === "string" || typeof attrs?.value === "string";
}

/** Where numbers are written and read at once. */
type Store = Pick<tf.KernelBackend, "write" | "readSync" | "disposeData">;

/**
 * Has the backend "cpu" compute a kernel.
 * @param numbersOf what JavaScript has of a tensor
 * @param write makes a tensor of numbers, or of text
 * @throws Error where "cpu" is not imported, or JavaScript does not have the numbers
 */
export function borrow(
  name: string,
  { inputs, attrs }: Call,
  numbersOf: (dataId: tf.DataId) => tf.backend_util.BackendValues | undefined,
  write: Store["write"],
): tf.TensorInfo | tf.TensorInfo[] {
  const refusal = `The backend "onnxruntime" does not compute ${name}: ${borrowed[name] ?? text}. `;
  const cpu: Store | null = tf.findBackend("cpu");
  const kernel = tf.getKernel(name, "cpu");
  if (!cpu || !kernel) {
    throw new Error(`${refusal}With \`import "@tensorflow/tfjs-backend-cpu"\` it is computed there.`);
  }
  Object.assign(cpu, { firstUse: false }); // its advice to compute elsewhere is followed

  const used = new Set<tf.DataId>();
  const lend = (info: tf.TensorInfo): tf.TensorInfo => {
    const numbers = numbersOf(info.dataId);
    if (!numbers) {
      throw new Error(
        `${refusal}It takes tensors whose numbers are in JavaScript: \`tf.tensor(await x.data(), x.shape)\`.`,
      );
    }
    const dataId = cpu.write(numbers, info.shape, info.dtype);
    used.add(dataId);
    return { ...info, dataId };
  };
  const takeBack = ({ dataId, shape, dtype }: tf.TensorInfo): tf.TensorInfo => {
    used.add(dataId);
    return { dataId: write(cpu.readSync(dataId), shape, dtype), shape, dtype };
  };

  try {
    const result = kernel.kernelFunc({ inputs: lentAll(inputs, lend), attrs, backend: cpu });
    return Array.isArray(result) ? result.map(takeBack) : takeBack(result);
  } finally {
    for (const dataId of used) cpu.disposeData(dataId, true);
  }
}

/** Inputs have names or are a list, and each may be a list itself. */
function lentAll(inputs: Inputs, lend: (info: tf.TensorInfo) => tf.TensorInfo): tf.NamedTensorInfoMap {
  const lent = Object.entries(inputs).map(([key, input]) => {
    if (Array.isArray(input)) return [key, input.map(lend)] as const;
    return [key, input && lend(input)] as const;
  });
  const named = Object.fromEntries(lent);
  return (Array.isArray(inputs) ? Object.values(named) : named) as tf.NamedTensorInfoMap;
}
