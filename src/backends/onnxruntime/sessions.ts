import type { InferenceSession } from "onnxruntime-node";
import { type Program, placeKey } from "./compile.ts";
import type { OnnxRuntimeOptions } from "./options.ts";
import type { Request } from "./protocol.ts";

interface Session {
  readonly id: number;
  /** The weights in files that it was made for. */
  readonly places: ReadonlySet<string>;
  /** Whether ONNX Runtime arranged its weights for the kernels, in memory of its own. */
  readonly isPacked: boolean;
  /** Floating-point operations that it was made for so far. */
  work: number;
}

/** Floating-point operations below which other threads are not worth waking. */
const smallWork = 1e6;

/**
 * Packing takes about a second for 1 GB of weights, once, and spares some hundredths of the computing, each time. It is
 * done when a graph's operations, over all its runs, are so many times its weights' bytes that it would have paid already:
 * at once for a decoder, which does much with few weights; for a large UNet when it has run about 15 times.
 */
const workWorthPacking = 4000;

/** These two would widen weights of half width when a session is made, and keep both. Now each run does it, graph by graph. */
const widening = "ConstantFolding;FuseFp16InitializerToFp32NodeTransformer";

/** Sessions of ONNX Runtime by the structure of their graphs, the longest unused first. */
export class Sessions {
  readonly #options: OnnxRuntimeOptions;
  readonly #post: (request: Request) => void;
  readonly #byKey = new Map<string, Session>();
  #count = 0;

  constructor(options: OnnxRuntimeOptions, post: (request: Request) => void) {
    this.#options = options;
    this.#post = post;
  }

  /** The number of a program's session, which is made where there is none. */
  open(program: Program): number {
    const { key } = program;
    const known = this.#byKey.get(key);
    const work = (known?.work ?? 0) + program.work;
    // Weights of half width would be packed at full width: that is done only where they are few.
    const counted = program.hasHalf ? program.work : work;
    const isPacked = counted >= workWorthPacking * weightBytes(program);
    if (known && isPacked && !known.isPacked) this.close(key);
    const session = this.#byKey.get(key) ?? this.#create(program, isPacked);
    session.work = work;
    this.#byKey.delete(key);
    this.#byKey.set(key, session);
    this.#closeOldest();
    return session.id;
  }

  #create(program: Program, isPacked: boolean): Session {
    const places = new Set(program.places.map(placeKey));
    const session = { id: ++this.#count, places, isPacked, work: 0 };
    const options = this.#optionsFor(program, isPacked);
    this.#post({ kind: "create", session: session.id, model: program.encode(), options });
    return session;
  }

  close(key: string): void {
    const session = this.#byKey.get(key);
    if (session) this.#post({ kind: "close", session: session.id });
    this.#byKey.delete(key);
  }

  /** Closes all that were made for some of these weights. */
  closeThoseWith(places: readonly string[]): void {
    for (const [key, session] of this.#byKey) {
      if (places.some((place) => session.places.has(place))) this.close(key);
    }
  }

  #closeOldest(): void {
    const { maxSessions = 256 } = this.#options;
    for (const key of this.#byKey.keys()) {
      if (this.#byKey.size <= maxSessions) return;
      this.close(key);
    }
  }

  #optionsFor({ folder, work, hasHalf }: Program, isPacked: boolean): InferenceSession.SessionOptions {
    const { device = "cpu", threads } = this.#options;
    const isSmall = work < smallWork;
    return {
      executionProviders: [device],
      graphOptimizationLevel: isSmall ? "basic" : isPacked ? "all" : "extended", // "all" arranges filters in blocks of channels
      logSeverityLevel: 4, // errors come back, and a library prints nothing
      enableCpuMemArena: false, // every session would keep the memory of its activations for itself
      ...(isSmall ? { intraOpNumThreads: 1 } : threads !== undefined && { intraOpNumThreads: threads }),
      extra: {
        ...(hasHalf && !isPacked && { optimization: { disable_specified_optimizers: widening } }),
        session: {
          "intra_op.allow_spinning": "0", // threads of one session that wait would take the processor from the next
          disable_prepacking: isPacked ? "0" : "1",
          ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        },
      },
    };
  }
}

function weightBytes({ places }: Program): number {
  return places.reduce((sum, { length }) => sum + length, 0);
}
