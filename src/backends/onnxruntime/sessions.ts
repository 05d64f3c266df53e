import { totalmem } from "node:os";
import type { InferenceSession } from "onnxruntime-node";
import { type Program, placeKey } from "./compile.ts";
import { castTo, type ElementType, encodeModel } from "./onnx.ts";
import type { Device, OnnxRuntimeOptions } from "./options.ts";
import { peakBytes } from "./peak.ts";
import type { Held, Request } from "./protocol.ts";

interface Session {
  readonly id: number;
  /** The weights in files that it was made for, and the bytes of each. */
  readonly places: ReadonlyMap<string, number>;
  /** Whether ONNX Runtime arranged its weights for the kernels, in memory of its own. */
  readonly isPacked: boolean;
  /** Whether making it takes so little of a run that it can be made anew whenever it is needed. */
  readonly isSoonMade: boolean;
  /** Memory that it holds, roughly. */
  readonly bytes: number;
  /** Floating-point operations that it was made for so far. */
  work: number;
}

/** What a session holds for an operator, beside its constants: measured with chains of 50 and of 1,000. */
const operatorBytes = 6000;

/** Errors come back, and a library prints nothing. */
const quiet = { logSeverityLevel: 4 } as const;

/** Floating-point operations below which other threads are not worth waking. */
const smallWork = 1e6;

/**
 * Arranging the filters of a UNet of 5 GB takes 3 s, once, and spares 4 to 6 % of each run: it has paid after 14 runs for a
 * picture of 512 × 512, after 4 with guidance for one of 768 × 768. It is done when a graph's operations, over all its runs,
 * are so many times its weights' bytes: after 21 and 4 runs there, so that pictures of 4 steps never wait for it. What is
 * worth it in a single run, such as a decoder, gets its matrices packed too; those of a UNet would take 13 s and spare nothing.
 */
export const workWorthPacking = 5000;

/**
 * To make a session for weights as they lie takes 8 ms for 60 MB: less than a twentieth of a run from so many operations on for
 * each byte of them. A decoder has that, a UNet does not.
 */
export const workWorthRemaking = 1200;

/** These two would widen weights of half width when a session is made, and keep both. Now each run does it, graph by graph. */
const widening = "ConstantFolding;FuseFp16InitializerToFp32NodeTransformer";

/** Sessions of ONNX Runtime by the structure of their graphs, the longest unused first. */
export class Sessions {
  readonly #options: OnnxRuntimeOptions;
  readonly #post: (request: Request) => void;
  readonly #byKey = new Map<string, Session>();
  readonly #maxBytes: number;
  #areKindsKept = false;
  readonly #readers = new Map<ElementType, number>();
  #count = 0;

  constructor(options: OnnxRuntimeOptions, post: (request: Request) => void) {
    this.#options = options;
    this.#post = post;
    this.#maxBytes = options.maxSessionBytes ?? halfOfMemory();
  }

  /** The number of a program's session, which is made where there is none. */
  open(program: Program): number {
    const { key } = program;
    const known = this.#byKey.get(key);
    const work = (known?.work ?? 0) + program.work;
    const isPacked = known?.isPacked || (this.#isWorthPacking(program, work) && this.#hasRoom(program));
    if (known && isPacked !== known.isPacked) this.close(key);
    const session = this.#byKey.get(key) ?? this.#create(program, isPacked);
    session.work = work;
    this.#byKey.delete(key);
    this.#byKey.set(key, session);
    this.#closeOldest();
    return session.id;
  }

  /** From now on a session stays of the kind that it is made as: training that is resumed must find the same bits. */
  keepKinds(): void {
    this.#areKindsKept = true;
  }

  held(): Held {
    const sessions = [...this.#byKey.values()];
    const packed = sessions.filter(({ isPacked, places }) => isPacked && places.size > 0);
    return { packed: packed.length, sessionBytes: bytesOf(sessions) };
  }

  get #device(): Device {
    return this.#options.device ?? "cpu";
  }

  /**
   * Whether a session keeps the memory of its activations. For a model that draws that is too much. A step of training comes again
   * at once, and where it has to get new memory for everything, the system takes a third of its time to clear it.
   */
  #keepsMemory({ isTraining }: Program): boolean {
    return isTraining && this.#device === "cpu";
  }

  #isWorthPacking(program: Program, work: number): boolean {
    // Weights of half width would be packed at full width: that is done only where they are few.
    return isWorthPacking(program, program.hasHalf || this.#areKindsKept ? program.work : work);
  }

  /**
   * Whether it may be packed beside the sessions that were used since it was last: those before can be closed. If one of these
   * has the same weights packed, the two take turns with them, and only what is worth it in a single run may take them over.
   */
  #hasRoom(program: Program): boolean {
    const sessions = [...this.#byKey];
    const place = sessions.findIndex(([key]) => key === program.key);
    const since = place < 0 ? [] : sessions.slice(place + 1).map(([, session]) => session);
    const places = placesOf(program);
    const isTaken = since.some((session) => session.isPacked && isCopy(session, places));
    const mayTake = !isTaken || isWorthPacking(program, program.work);
    return mayTake && packedBytes(program) + bytesOf(since) <= this.#maxBytes;
  }

  #create(program: Program, isPacked: boolean): Session {
    const places = placesOf(program);
    this.#closeCopies(places, { isPacked });
    const model = program.encode();
    const bytes =
      operatorBytes * program.calls.length +
      model.length +
      (isPacked ? packedBytes(program) : 0) +
      (this.#keepsMemory(program) ? peakBytes(program) : 0);
    // To any other device weights cross when a session is made.
    const isSoonMade = this.#device === "cpu" && program.work >= workWorthRemaking * weightBytes(program);
    const session = { id: ++this.#count, places, isPacked, isSoonMade, bytes, work: 0 };
    this.#post({ kind: "create", session: session.id, model, options: this.#optionsFor(program, isPacked) });
    return session;
  }

  /**
   * Weights are arranged for one session at a time. A decoder works on tiles of four shapes, each with sessions of its own, which
   * would hold its weights four times. To arrange them anew for the next shape takes less than a tenth of what they are arranged for.
   * As they lie, they are in memory once, but each session maps them for itself, and the process is said to have them four times:
   * sessions that are soon made give way as well.
   */
  #closeCopies(places: ReadonlyMap<string, number>, { isPacked }: { isPacked: boolean }): void {
    for (const [key, session] of this.#byKey) {
      const givesWay = session.isSoonMade || (isPacked && session.isPacked);
      if (givesWay && isCopy(session, places)) this.close(key);
    }
  }

  /**
   * The number of a session that brings values of a type from a GPU to the processor, float16 as float32; undefined where they
   * are there already.
   */
  reader(type: ElementType): number | undefined {
    const device = this.#device;
    if (device !== "webgpu" && type !== "float16") return undefined;
    const known = this.#readers.get(type);
    if (known !== undefined) return known;
    const session = ++this.#count;
    this.#post({
      kind: "create",
      session,
      model: copyingModel(type),
      options: { ...quiet, executionProviders: [device] },
    });
    this.#readers.set(type, session);
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

  /** All but the one that is to be used now. */
  #closeOldest(): void {
    const { maxSessions = 256 } = this.#options;
    let bytes = bytesOf(this.#byKey.values());
    for (const [key, session] of this.#byKey) {
      const areFew = this.#byKey.size <= maxSessions && bytes <= this.#maxBytes;
      if (areFew || this.#byKey.size === 1) return;
      bytes -= session.bytes;
      this.close(key);
    }
  }

  #optionsFor(program: Program, isPacked: boolean): InferenceSession.SessionOptions {
    const { folder, work, hasHalf } = program;
    const keepsMemory = this.#keepsMemory(program);
    const device = this.#device;
    const { threads } = this.#options;
    const isSmall = work < smallWork;
    return {
      executionProviders: [device],
      graphOptimizationLevel: isSmall ? "basic" : isPacked ? "all" : "extended", // "all" arranges filters in blocks of channels
      ...quiet,
      ...(device === "webgpu" && { preferredOutputLocation: "gpu-buffer" }), // results stay there until they are read
      enableCpuMemArena: keepsMemory,
      enableMemPattern: !keepsMemory, // it would take all activations' memory in one block, beside the first run's
      ...(isSmall ? { intraOpNumThreads: 1 } : threads !== undefined && { intraOpNumThreads: threads }),
      extra: {
        ...(hasHalf && !isPacked && { optimization: { disable_specified_optimizers: widening } }),
        session: {
          "intra_op.allow_spinning": "0", // threads of one session that wait would take the processor from the next
          disable_prepacking: isPacked && isWorthPacking(program, work) ? "0" : "1",
          ...(folder !== undefined && { model_external_initializers_file_folder_path: folder }),
        },
      },
    };
  }
}

function isWorthPacking(program: Program, work: number): boolean {
  return work >= workWorthPacking * weightBytes(program);
}

/** y = x, of any shape; float32 where x is float16, which JavaScript does not have. */
function copyingModel(type: ElementType): Uint8Array {
  const to = type === "float16" ? "float32" : type;
  const operator = to === type ? { type: "Identity", attributes: {} } : { type: "Cast", attributes: castTo(to) };
  const copy = { name: "copy", domain: "", inputs: ["x"], outputs: ["y"], ...operator };
  const graph = { nodes: [copy], initializers: [], inputs: [{ name: "x", type }], outputs: [{ name: "y", type: to }] };
  return encodeModel(graph, { "": 21 });
}

function placesOf(program: Program): Map<string, number> {
  return new Map(program.places.map((place) => [placeKey(place), place.length]));
}

/** Whether a session has weights of which most are among these. */
function isCopy(session: Session, places: ReadonlyMap<string, number>): boolean {
  const both = [...session.places].filter(([place]) => places.has(place));
  return both.length > 0 && 2 * sum(both) > sum(session.places);
}

function sum(places: Iterable<readonly [place: string, bytes: number]>): number {
  let total = 0;
  for (const [, bytes] of places) total += bytes;
  return total;
}

function weightBytes({ places }: Program): number {
  return places.reduce((sum, { length }) => sum + length, 0);
}

/** What packed weights take: they are float32, whatever they are in the file. */
function packedBytes(program: Program): number {
  return weightBytes(program) * (program.hasHalf ? 2 : 1);
}

function bytesOf(sessions: Iterable<Session>): number {
  let bytes = 0;
  for (const session of sessions) bytes += session.bytes;
  return bytes;
}

/** Half of what the system, or its limit for this process, has. */
function halfOfMemory(): number {
  return Math.min(totalmem(), process.constrainedMemory?.() || Number.POSITIVE_INFINITY) / 2;
}
