// The package has no types. These are the parts that are used here, the members that it does not document among them.
declare module "sentencepiece-js" {
  interface Handle {
    delete(): void;
  }
  interface StringView extends Handle {
    getView(): Handle;
  }
  export class SentencePieceProcessor {
    /** The WebAssembly module, a new one for every processor. */
    sentencepiece: {
      FS: { writeFile(path: string, bytes: Uint8Array): void; unlink(path: string): void };
      StringView: new (text: string) => StringView;
    };
    processor: Handle & {
      Load(path: Handle): Handle & { ToString(): string };
    };
    load(path: string): Promise<void>;
    encodePieces(text: string): string[];
  }
}
