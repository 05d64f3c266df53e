// The part of ONNX's protobuf format (github.com/onnx/onnx, onnx.proto) that a graph of operators needs.

/** Numbers of TensorProto.DataType. */
export const elementTypes = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float16: 10, bfloat16: 16 } as const;
export type ElementType = keyof typeof elementTypes;

/** What the operator Cast calls a type. */
export function castTo(type: ElementType): { to: bigint } {
  return { to: BigInt(elementTypes[type]) };
}

export type Attribute = number | bigint | string | readonly bigint[] | readonly number[] | OnnxGraph;

export interface OnnxNode {
  /** For messages. */
  readonly name: string;
  readonly type: string;
  /** "" is ONNX's own. */
  readonly domain: string;
  /** Names; an empty one stands for an input that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** A whole number is written as a `bigint`, a `number` is a float. */
  readonly attributes: Readonly<Record<string, Attribute>>;
}

export interface OnnxTensor {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** Its numbers, or where they are: a file below the folder that the session is told, and an offset in it. */
  readonly data: Uint8Array | { readonly file: string; readonly offset: number; readonly length: number };
}

export interface OnnxValue {
  readonly name: string;
  readonly type: ElementType;
  /** Undefined for any. */
  readonly shape?: readonly number[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxTensor[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
}

/** Operator sets, by domain. */
export type Opsets = Readonly<Record<string, number>>;

/** A ModelProto. */
export function encodeModel(graph: OnnxGraph, opsets: Opsets): Uint8Array {
  const model = new Message();
  model.integer(1, 10); // ir_version
  model.message(7, graphMessage(graph));
  for (const [domain, version] of Object.entries(opsets)) {
    model.message(8, new Message().text(1, domain).integer(2, version));
  }
  return model.bytes();
}

function graphMessage({ nodes, initializers, inputs, outputs }: OnnxGraph): Message {
  const graph = new Message();
  for (const node of nodes) graph.message(1, nodeMessage(node));
  graph.text(2, "g");
  for (const tensor of initializers) graph.message(5, tensorMessage(tensor));
  for (const value of inputs) graph.message(11, valueMessage(value));
  for (const value of outputs) graph.message(12, valueMessage(value));
  return graph;
}

function nodeMessage({ name, type, domain, inputs, outputs, attributes }: OnnxNode): Message {
  const node = new Message();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(3, name).text(4, type);
  for (const [name, value] of Object.entries(attributes)) node.message(5, attributeMessage(name, value));
  if (domain) node.text(7, domain);
  return node;
}

function attributeMessage(name: string, value: Attribute): Message {
  const attribute = new Message().text(1, name);
  if (typeof value === "number") return attribute.float(2, value).integer(20, 1);
  if (typeof value === "bigint") return attribute.integer(3, value).integer(20, 2);
  if (typeof value === "string") return attribute.text(4, value).integer(20, 3);
  if ("nodes" in value) return attribute.message(6, graphMessage(value)).integer(20, 5);
  const isWhole = value.every((item) => typeof item === "bigint");
  for (const item of value) isWhole ? attribute.integer(8, item) : attribute.float(7, Number(item));
  return attribute.integer(20, isWhole ? 7 : 6);
}

function tensorMessage({ name, type, shape, data }: OnnxTensor): Message {
  const tensor = new Message();
  for (const length of shape) tensor.integer(1, length);
  tensor.integer(2, elementTypes[type]).text(8, name);
  if (data instanceof Uint8Array) return tensor.raw(9, data);
  const entries = { location: data.file, offset: `${data.offset}`, length: `${data.length}` };
  for (const [key, value] of Object.entries(entries)) tensor.message(13, new Message().text(1, key).text(2, value));
  return tensor.integer(14, 1); // data_location: EXTERNAL
}

function valueMessage({ name, type, shape }: OnnxValue): Message {
  const tensor = new Message().integer(1, elementTypes[type]);
  if (shape) {
    const dimensions = new Message();
    for (const length of shape) dimensions.message(1, new Message().integer(1, length));
    tensor.message(2, dimensions);
  }
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}

const utf8 = new TextEncoder();

/** Protobuf's wire format: fields of a number and a kind, each with its value. */
class Message {
  #bytes = new Uint8Array(64);
  #length = 0;

  integer(field: number, value: number | bigint): this {
    this.#tag(field, 0);
    return this.#varint(BigInt.asUintN(64, BigInt(value)));
  }

  float(field: number, value: number): this {
    this.#tag(field, 5);
    this.#append(new Uint8Array(Float32Array.of(value).buffer));
    return this;
  }

  text(field: number, value: string): this {
    return this.raw(field, utf8.encode(value));
  }

  message(field: number, value: Message): this {
    return this.raw(field, value.bytes());
  }

  raw(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#varint(BigInt(value.length));
    this.#append(value);
    return this;
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #tag(field: number, kind: number): void {
    this.#varint(BigInt((field << 3) | kind));
  }

  #varint(value: bigint): this {
    let rest = value;
    this.#reserve(10); // the most that 64 bits take, 7 to a byte
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
    return this;
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + count));
    larger.set(this.bytes());
    this.#bytes = larger;
  }
}
