// Kernels of tfjs that do not exist here, and why.

const complex = "there are no complex numbers";
const canvas = "there is no canvas";

export const missing: Readonly<Record<string, string>> = {
  Complex: complex,
  ComplexAbs: complex,
  FFT: complex,
  IFFT: complex,
  Imag: complex,
  Real: complex,
  Draw: canvas,
  FromPixels: canvas,
};

/** What whoever calls one of them is told. */
export function refusal(name: string): Error {
  return new Error(
    `The backend "onnxruntime" has no kernel ${name}: ${missing[name]} there. Take the numbers with \`await tensor.data()\` ` +
      'and compute it on another backend, after `await tf.setBackend("cpu")`.',
  );
}
