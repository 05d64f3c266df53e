/** How a number is stored, in safetensors' words. */
export type Dtype = "F64" | "F32" | "F16" | "BF16" | "I64" | "I32" | "U8" | "BOOL";

/** What a header says of a tensor. */
export interface TensorEntry {
  readonly dtype: Dtype;
  /** PyTorch's shape; [] is a single number. */
  readonly shape: readonly number[];
}

/** A place that weights are read from, one tensor at a time. */
export interface WeightSource {
  /** The file or folder, for messages. */
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** The free-form texts of the header. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The bytes of a tensor as they are stored, little-endian. */
  read(name: string): Promise<Uint8Array>;
  close(): Promise<void>;
}
