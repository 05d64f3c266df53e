import * as tf from "@tensorflow/tfjs-core";

// From the first use of a filter on, tfjs 4.22's wasm backend keeps a packed copy of it and a table of the picture's cells,
// until the filter is disposed of. The heap then grows by 2.2 bytes for each byte of the filter: the copy, and a hole that the
// filter's transpose leaves. Packing takes 6 to 10 nanoseconds a number, and convolving it 0.045 a cell: on the large
// pictures of autoencoders it is packed anew each time and takes its memory once. On the small ones of a UNet's depths, where
// most of its weights are, that would take twice the time, so there the copies stay.

/** What is used of tfjs's backend. */
interface WasmBackend extends tf.KernelBackend {
  readonly dataIdMap: {
    get(id: tf.DataId): { id: number; memoryOffset: number };
    delete(id: tf.DataId): boolean;
  };
  readonly wasm: { tfjs: { disposeData(tensor: number): void } };
  makeOutput(shape: number[], dtype: tf.DataType, address: number): tf.TensorInfo;
}

/** Cells of the result from which packing is about a hundredth of the work. */
const largePicture = 128 * 128;

/** Keeps `tf.conv2d` from holding copies of filters on tfjs's wasm backend, where that costs no time. */
export function freePackedFilters(): void {
  const config = tf.getKernel("Conv2D", "wasm");
  if (ours.has(config.kernelFunc)) return;
  const kernelFunc: tf.KernelFunc = (call) => {
    const { x, filter } = call.inputs as { x: tf.TensorInfo; filter: tf.TensorInfo };
    const { strides } = call.attrs as unknown as { strides: number | [number, number] };
    const [down, right] = typeof strides === "number" ? [strides, strides] : strides;
    if (tf.util.sizeFromShape(x.shape.slice(0, -1)) / (down * right) < largePicture) return config.kernelFunc(call);

    // The packed copy belongs to a tensor of its own at the filter's address, which is forgotten and not freed.
    const backend = call.backend as WasmBackend;
    const { memoryOffset } = backend.dataIdMap.get(filter.dataId);
    const alias = backend.makeOutput(filter.shape, "float32", memoryOffset);
    try {
      return config.kernelFunc({ ...call, inputs: { x, filter: alias } });
    } finally {
      backend.wasm.tfjs.disposeData(backend.dataIdMap.get(alias.dataId).id);
      backend.dataIdMap.delete(alias.dataId);
    }
  };
  ours.add(kernelFunc);
  tf.unregisterKernel("Conv2D", "wasm");
  tf.registerKernel({ ...config, kernelFunc });
}

const ours = new WeakSet<tf.KernelFunc>();
