import { Worker } from "node:worker_threads";
import type { Tensor } from "onnxruntime-node";
import { WeightsError } from "../../errors.ts";
import { type Program, placeKey } from "./compile.ts";
import { forgetAtExit, waitForAtExit } from "./exit.ts";
import { changedFile } from "./files.ts";
import type { FilePlace, Node, Values } from "./graph.ts";
import type { OnnxRuntimeOptions } from "./options.ts";
import { type Answer, type Counts, type Held, type Request, type Sent, shared } from "./protocol.ts";
import { Sessions } from "./sessions.ts";

/** Numbers of up to so many bytes stay in JavaScript too when they are sent. */
const smallBytes = 4096;

/** ONNX Runtime in a thread of its own: programs and numbers go in, numbers come out. */
export class Runtime {
  readonly #worker: Worker;
  readonly #state = new Int32Array(new SharedArrayBuffer(shared.bytes));
  readonly #sessions: Sessions;
  readonly #exited: Promise<void>;
  readonly #questions = new Map<number, { resolve: (answer: Answer) => void; reject: (error: Error) => void }>();
  #unneeded: number[] = [];
  #count = 0;
  /** Why nothing is answered any more. */
  #ended: Error | undefined;

  constructor(options: OnnxRuntimeOptions) {
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), {
      workerData: this.#state.buffer,
      execArgv: [], // what this program was started with, such as --input-type, is not for the thread
    });
    this.#worker.unref(); // it keeps no program alive
    this.#worker.on("message", ({ question, ...answer }: Answer & { question: number }) => {
      this.#questions.get(question)?.resolve(answer);
      this.#questions.delete(question);
      if (this.#questions.size === 0) this.#worker.unref();
    });
    this.#worker.on("error", (error) => {
      forgetAtExit(this.#state); // it is dead already, and may not be idle
      this.#fail(endedBecause(error.message));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on("exit", (code) => {
        forgetAtExit(this.#state);
        this.#fail(endedBecause(`exit code ${code}`));
        resolve();
      });
    });
    waitForAtExit(this.#state);
    this.#sessions = new Sessions(options, (request) => this.#post(request));
  }

  /**
   * Runs a program. It does not wait: what it computes is there for whatever is asked afterwards. What can't be computed
   * says so when it is read.
   */
  run(program: Program, { isRepeated }: { isRepeated: boolean }): void {
    const outputs = program.outputs.map(() => this.#next());
    const changed = changedFile(program.places);
    if (changed) {
      this.#post({ kind: "fail", outputs, reason: { message: changed, isAboutWeights: true } });
    } else {
      const session = this.#sessions.open(program);
      this.#post({ kind: "run", session, inputs: program.inputs.map((node) => this.#send(node)), outputs });
      if (!isRepeated) this.#sessions.close(program.key);
    }
    for (const [index, node] of program.outputs.entries()) {
      node.origin = { kind: "computed", id: outputs[index]!, isHalf: program.halves.has(node) };
    }
  }

  /** The numbers of what was computed. @throws Error with ONNX Runtime's words where that could not be */
  async read({ origin, type }: Node): Promise<Tensor.DataType> {
    if (origin.kind !== "computed") throw new Error(`A tensor is ${origin.kind}, not computed.`);
    const { id, isHalf } = origin;
    const through = this.#sessions.reader(isHalf ? "float16" : type);
    return (await this.#ask((question) => ({ kind: "read", id, through, question }))).values!;
  }

  /** Resolves when some values are computed. @throws Error where one could not be */
  async settle(ids: readonly number[]): Promise<void> {
    await this.#ask((question) => ({ kind: "settle", ids, question }));
  }

  async counts(): Promise<Counts & Held> {
    const { counts } = await this.#ask((question) => ({ kind: "count", question }));
    return { ...counts!, ...this.#sessions.held() };
  }

  /** Frees values, after what was asked before. */
  free(ids: readonly number[]): void {
    if (ids.length === 0) return;
    if (this.#unneeded.length === 0) queueMicrotask(() => this.#freeUnneeded());
    this.#unneeded.push(...ids);
  }

  /** Frees what was made for weights in files that nobody uses any more. */
  forget(places: readonly FilePlace[]): void {
    if (places.length > 0) this.#sessions.closeThoseWith(places.map(placeKey));
  }

  /** Ends the thread, with all that it holds. What is still waited for fails. */
  async end(): Promise<void> {
    this.#fail(new Error("The backend was removed before this was computed."));
    Atomics.store(this.#state, shared.isEnding, 1);
    this.#post({ kind: "end" });
    await this.#exited;
  }

  /** See `Sessions`. */
  keepKinds(): void {
    this.#sessions.keepKinds();
  }

  /** The number under which the worker has a node's numbers, and the numbers themselves the first time. */
  #send(node: Node): number | Sent {
    const { origin, type, shape } = node;
    if (origin.kind === "computed") return origin.id;
    if (origin.kind !== "host") throw new Error("Only numbers can be sent.");
    const id = this.#next();
    node.origin = { kind: "computed", id, values: type === "float16" ? undefined : ifSmall(origin.values) };
    return { id, type: type as Tensor.Type, shape, values: origin.values };
  }

  #ask(request: (question: number) => Request): Promise<Answer> {
    const question = this.#next();
    return new Promise<Answer>((resolve, reject) => {
      if (this.#ended) throw this.#ended;
      this.#questions.set(question, { resolve, reject });
      this.#worker.ref(); // whoever waits for an answer wants the program to go on
      this.#post(request(question));
    }).then((answer) => {
      const { failure } = answer;
      if (failure) throw failure.isAboutWeights ? new WeightsError(failure.message) : new Error(failure.message);
      return answer;
    });
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#questions.values()) reject(this.#ended);
    this.#questions.clear();
    this.#worker.unref();
  }

  #freeUnneeded(): void {
    if (this.#unneeded.length === 0) return;
    const ids = this.#unneeded;
    this.#unneeded = [];
    this.#post({ kind: "free", ids });
  }

  #post(request: Request): void {
    this.#freeUnneeded();
    this.#worker.postMessage(request, weightsIn(request));
  }

  #next(): number {
    return ++this.#count;
  }
}

function ifSmall(values: Values): Values | undefined {
  return values.byteLength <= smallBytes ? values : undefined;
}

function endedBecause(reason: string): Error {
  return new Error(
    `ONNX Runtime's thread has ended (${reason}), with all tensors of the backend. Start the program again, or make a new ` +
      "backend with tf.removeBackend and tf.registerBackend.",
  );
}

/** Weights of half width go over to the worker: they are many, and nobody reads them here. */
function weightsIn(request: Request): ArrayBuffer[] {
  if (request.kind !== "run") return [];
  return request.inputs.flatMap((input) =>
    typeof input !== "number" && input.type === "float16" ? [input.values.buffer as ArrayBuffer] : [],
  );
}
