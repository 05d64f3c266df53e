import * as tf from "@tensorflow/tfjs-core";

/**
 * Numbers outside of any backend, in PyTorch's layout: pictures and latents are [B, C, H, W]. Between two computations a
 * pipeline holds everything in this form, so no tensor is ever left over, whenever a caller stops.
 */
export interface TensorData {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** A tensor's numbers. A map [B, H, W, C] becomes [B, C, H, W]; the tensor is freed. */
export async function takeData(tensor: tf.Tensor): Promise<TensorData> {
  const stored = tensor.rank === 4 ? tf.transpose(tensor, [0, 3, 1, 2]) : tensor;
  try {
    return { shape: [...stored.shape], data: new Float32Array(await stored.data<"float32">()) };
  } finally {
    stored.dispose();
    tensor.dispose();
  }
}

/** The tensor of some numbers; [B, C, H, W] becomes the map [B, H, W, C]. */
export function toTensor<T extends tf.Tensor = tf.Tensor>({ shape, data }: TensorData): T {
  return tf.tidy(() => {
    const stored = tf.tensor(data, [...shape]);
    return (shape.length === 4 ? tf.transpose(stored, [0, 2, 3, 1]) : stored) as T;
  });
}

/** Several pictures' numbers as one batch. All have the same shape, with a first axis of their own. */
export function stack(items: readonly TensorData[]): TensorData {
  const size = items.reduce((sum, { data }) => sum + data.length, 0);
  const data = new Float32Array(size);
  let offset = 0;
  for (const item of items) {
    data.set(item.data, offset);
    offset += item.data.length;
  }
  const [first] = items;
  return { shape: [items.reduce((sum, { shape }) => sum + shape[0]!, 0), ...first!.shape.slice(1)], data };
}

/** Picture i of a batch, itself a batch of one. */
export function pick({ shape, data }: TensorData, index: number): TensorData {
  const size = data.length / shape[0]!;
  return { shape: [1, ...shape.slice(1)], data: data.subarray(index * size, (index + 1) * size) };
}
