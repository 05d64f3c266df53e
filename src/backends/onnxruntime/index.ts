import * as tf from "@tensorflow/tfjs-core";
import { backendName, OnnxRuntimeBackend } from "./backend.ts";
import { kernels } from "./kernels/index.ts";
import { missing, refusal } from "./kernels/missing.ts";

export { backendName, OnnxRuntimeBackend } from "./backend.ts";

tf.registerBackend(backendName, () => new OnnxRuntimeBackend(), 3);
for (const [kernelName, kernel] of Object.entries(kernels)) {
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: ({ inputs, attrs, backend }) =>
      (backend as OnnxRuntimeBackend).call(kernelName, kernel, { inputs, attrs }),
  });
}
for (const kernelName of Object.keys(missing)) {
  tf.registerKernel({
    kernelName,
    backendName,
    kernelFunc: () => {
      throw refusal(kernelName);
    },
  });
}
