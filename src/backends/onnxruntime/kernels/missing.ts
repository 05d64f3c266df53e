// Kernels of tfjs that do not exist here, and why.

const dynamic = "how large its result is depends on the numbers, which are not known while a graph is recorded";
const text = "there is no text";
const complex = "there are no complex numbers";

export const missing: Readonly<Record<string, string>> = {
  Complex: complex,
  ComplexAbs: complex,
  FFT: complex,
  IFFT: complex,
  Imag: complex,
  Real: complex,
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
  Draw: "there is no canvas",
  FromPixels: "there is no canvas",
};

/** What whoever calls one of them is told. */
export function refusal(name: string): Error {
  return new Error(
    `The backend "onnxruntime" has no kernel ${name}: ${missing[name]} there. Take the numbers with \`await tensor.data()\` ` +
      'and compute it on another backend, after `await tf.setBackend("cpu")`.',
  );
}
