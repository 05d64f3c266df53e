import { createRequire } from "node:module";
import * as tf from "@tensorflow/tfjs-core";
import { backendName, OnnxRuntimeBackend } from "./backend.ts";
import { borrow, borrowed, type Call, isAboutText } from "./kernels/borrowed.ts";
import { kernels } from "./kernels/index.ts";
import { missing, refusal } from "./kernels/missing.ts";

export { backendName, OnnxRuntimeBackend } from "./backend.ts";
export type { OnnxRuntimeOptions } from "./options.ts";

/** Of ONNX Runtime, which itself is loaded in the backend's thread only. */
export function version(): string {
  return createRequire(import.meta.url)("onnxruntime-node/package.json").version;
}

tf.registerBackend(backendName, () => new OnnxRuntimeBackend(), 3);

type Run = (backend: OnnxRuntimeBackend, call: Call) => tf.TensorInfo | tf.TensorInfo[];
function register(kernelName: string, run: Run): void {
  const kernelFunc: tf.KernelFunc = ({ inputs, attrs, backend }) =>
    run(backend as OnnxRuntimeBackend, { inputs, attrs });
  tf.registerKernel({ kernelName, backendName, kernelFunc });
}

const onCpu = (name: string, backend: OnnxRuntimeBackend, call: Call) =>
  borrow(name, call, (dataId) => backend.numbersHere(dataId), backend.write.bind(backend));

for (const [name, kernel] of Object.entries(kernels)) {
  register(name, (backend, { inputs, attrs }) =>
    isAboutText({ inputs, attrs })
      ? onCpu(name, backend, { inputs, attrs })
      : backend.call(name, kernel, { inputs: inputs as tf.NamedTensorInfoMap, attrs }),
  );
}
for (const name of Object.keys(borrowed)) register(name, (backend, call) => onCpu(name, backend, call));
for (const name of Object.keys(missing)) {
  register(name, () => {
    throw refusal(name);
  });
}
