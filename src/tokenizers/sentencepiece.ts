import { devNull } from "node:os";
import { withoutItsHandlers } from "../emscripten.ts";
import { InputError } from "../errors.ts";
import { damagedModel, parseSentencePieceModel, type SentencePieceModel } from "./sentencepiece-model.ts";

type Processor = import("sentencepiece-js").SentencePieceProcessor;

/** A model of SentencePiece, run by the original library (compiled to WebAssembly). */
export class SentencePiece {
  readonly model: SentencePieceModel;
  private readonly where: string;
  private processor: Processor | undefined;

  private constructor(model: SentencePieceModel, processor: Processor, where: string) {
    this.model = model;
    this.processor = processor;
    this.where = where;
  }

  /**
   * @param bytes a serialized `ModelProto`, checked here; `where` is its file's path, for messages. `dummyPrefix: false`
   * overrides what the model says about putting a space before every text.
   * @throws WeightsError where the model is damaged.
   */
  static async load(bytes: Uint8Array, where: string, options: { dummyPrefix?: false }): Promise<SentencePiece> {
    const model = parseSentencePieceModel(bytes, where);
    const { SentencePieceProcessor } = await import("sentencepiece-js");
    const processor = new SentencePieceProcessor();
    // The package reads a path. What was checked has to be what is run, so it is started with nothing and given the bytes.
    await withoutItsHandlers(() => processor.load(devNull));
    const status = loadBytes(
      processor,
      options.dummyPrefix === false ? withoutDummyPrefix(model.serialized) : model.serialized,
      where,
    );
    if (status !== "OK") throw damagedModel(where, status);
    return new SentencePiece(model, processor, where);
  }

  /** The pieces of a text, `▁` for a space. What no piece covers comes as it is. */
  encode(text: string): string[] {
    if (!this.processor) throw new Error("This tokenizer is closed.");
    try {
      return this.processor.encodePieces(text);
    } catch (cause) {
      throw new InputError(`${this.where} fails on this prompt, so it is probably damaged.`, { cause });
    }
  }

  /** The text of pieces. */
  decode(pieces: readonly string[]): string {
    const out: number[] = [];
    const encoder = new TextEncoder();
    for (const piece of pieces) {
      const byte = this.model.byteValues.get(piece);
      if (byte !== undefined) out.push(byte);
      else for (const b of encoder.encode(piece.replaceAll("▁", " "))) out.push(b);
    }
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(out));
  }

  close(): void {
    this.processor?.processor.delete();
    this.processor = undefined; // and with it the WebAssembly memory, once collected
  }
}

/** Protobuf merges messages that follow each other: this one says `normalizer_spec { add_dummy_prefix: false }`. */
function withoutDummyPrefix(model: Uint8Array): Uint8Array {
  return Buffer.concat([model, Uint8Array.of(0x1a, 2, 0x18, 0)]);
}

/** The library's word on what it was given: "OK", or what is wrong. */
function loadBytes({ sentencepiece, processor }: Processor, bytes: Uint8Array, where: string): string {
  const path = "sentencepiece.model";
  try {
    sentencepiece.FS.writeFile(path, bytes);
    const text = new sentencepiece.StringView(path);
    const view = text.getView();
    const status = processor.Load(view);
    const message = status.ToString().trim();
    for (const handle of [status, view, text]) handle.delete();
    sentencepiece.FS.unlink(path);
    return message;
  } catch (cause) {
    throw damagedModel(where, "it fails to load", cause);
  }
}
