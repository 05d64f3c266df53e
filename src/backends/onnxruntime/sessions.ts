import type { InferenceSession } from "onnxruntime-node";
import { type Program, placeKey } from "./compile.ts";
import type { Request } from "./protocol.ts";
import type { RuntimeOptions } from "./runtime.ts";

interface Session {
  readonly id: number;
  /** The weights in files that it was made for. */
  readonly places: ReadonlySet<string>;
}

/** Floating-point operations below which other threads are not worth waking. */
const smallWork = 1e6;

/** Sessions of ONNX Runtime by the structure of their graphs, the longest unused first. */
export class Sessions {
  readonly #options: RuntimeOptions;
  readonly #post: (request: Request) => void;
  readonly #byKey = new Map<string, Session>();
  #count = 0;

  constructor(options: RuntimeOptions, post: (request: Request) => void) {
    this.#options = options;
    this.#post = post;
  }

  /** The number of a program's session, which is made where there is none. */
  open(program: Program): number {
    const { key, places } = program;
    const known = this.#byKey.get(key);
    this.#byKey.delete(key);
    const session = known ?? { id: ++this.#count, places: new Set(places.map(placeKey)) };
    this.#byKey.set(key, session);
    if (!known) {
      this.#post({ kind: "create", session: session.id, model: program.encode(), options: this.#optionsFor(program) });
      this.#closeOldest();
    }
    return session.id;
  }

  close(key: string): void {
    const session = this.#byKey.get(key);
    if (session) this.#post({ kind: "close", session: session.id });
    this.#byKey.delete(key);
  }

  /** Closes all that were made for some of these weights. */
  closeThoseWith(places: ReadonlySet<string>): void {
    for (const [key, session] of this.#byKey) {
      if ([...session.places].some((place) => places.has(place))) this.close(key);
    }
  }

  #closeOldest(): void {
    const { maxSessions = 256 } = this.#options;
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size <= maxSessions) return;
      this.close(key);
    }
  }

  #optionsFor({ folder, work }: Program): InferenceSession.SessionOptions {
    const { threads } = this.#options;
    const isSmall = work < smallWork;
    return {
      executionProviders: ["cpu"],
      graphOptimizationLevel: isSmall ? "basic" : "all",
      logSeverityLevel: 4, // errors come back, and a library prints nothing
      ...(isSmall ? { intraOpNumThreads: 1 } : threads !== undefined && { intraOpNumThreads: threads }),
      extra: {
        session: { ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }) },
      },
    };
  }
}
