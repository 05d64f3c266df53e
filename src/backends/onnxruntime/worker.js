// The thread in which ONNX Runtime works: its calls block, and here they block nobody. It is JavaScript, so that it runs as
// it stands, from the sources and from what is built of them. Messages are worked off in their order.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";

/** @typedef {import("onnxruntime-node").InferenceSession} Session */
/** @typedef {import("onnxruntime-node").Tensor} Value */
/** @typedef {import("./protocol.ts").Request} Request */
/** @typedef {import("./protocol.ts").Failure} Failure */

/** Whether we are to end, and whether we are busy: see protocol.ts. */
const state = new Int32Array(/** @type {SharedArrayBuffer} */ (workerData));

function beIdle() {
  Atomics.store(state, 1, 0);
  Atomics.notify(state, 1);
}

process.on("exit", beIdle); // however the thread ends: nobody shall wait for it
Atomics.store(state, 1, 1); // until ONNX Runtime is loaded
if (Atomics.load(state, 0) === 1) process.exit();

const { InferenceSession, Tensor } = await import("onnxruntime-node").finally(beIdle);

/** Results of earlier runs and numbers that were sent, by number; or why they are not there. */
/** @type {Map<number, Value | Failure>} */
const values = new Map();
/** @type {Map<number, Session | Failure>} */
const sessions = new Map();

/** Which session gave a value that is on a GPU: the session must outlive it, or freeing it ends the process. */
/** @type {Map<number, number>} */
const givers = new Map();
/** Sessions that are closed when the last such value is freed. */
/** @type {Map<number, Session>} */
const closing = new Map();

/** Bytes of freed results that may wait until V8 sees to them. */
const mayLinger = 64e6;
/** Bytes of results that were freed since it last did. */
let lingering = 0;

/** V8's collector of garbage, which a program can't call by itself. */
setFlagsFromString("--expose-gc");
const collectGarbage = /** @type {() => void} */ (runInNewContext("gc"));

/** @param {Request} request */
async function handle(request) {
  switch (request.kind) {
    case "create":
      try {
        sessions.set(request.session, await InferenceSession.create(request.model, request.options));
      } catch (error) {
        sessions.set(request.session, failureFrom(error));
      }
      return;
    case "run":
      return run(request);
    case "fail":
      for (const output of request.outputs) values.set(output, request.reason);
      return;
    case "read": {
      const value = await readable(valueUnder(request.id), request.through);
      answer(request.question, isFailure(value) ? { failure: value } : { values: value.data });
      return;
    }
    case "settle": {
      answer(request.question, { failure: request.ids.map(valueUnder).find(isFailure) });
      return;
    }
    case "count":
      answer(request.question, { counts: { values: values.size, sessions: sessions.size + closing.size } });
      return;
    case "free":
      for (const id of request.ids) {
        const value = values.get(id);
        if (value && !isFailure(value)) {
          if (value.location === "cpu") lingering += /** @type {ArrayBufferView} */ (value.data).byteLength;
          value.dispose();
        }
        values.delete(id);
        givers.delete(id);
      }
      if (lingering > mayLinger) await giveBack();
      return releaseClosing();
    case "close": {
      const session = sessions.get(request.session);
      sessions.delete(request.session);
      if (session && !isFailure(session)) closing.set(request.session, session);
      return releaseClosing();
    }
    case "end":
      parentPort?.close(); // nothing else keeps the thread alive
  }
}

/** @param {Extract<Request, { kind: "run" }>} request */
async function run({ session: id, inputs, outputs }) {
  /** @type {Record<string, Value>} */
  const feeds = {};
  /** @type {Failure | undefined} */
  let failure;
  for (const [index, input] of inputs.entries()) {
    if (typeof input !== "number") values.set(input.id, new Tensor(input.type, input.values, input.shape));
    const value = valueUnder(typeof input === "number" ? input : input.id);
    if (isFailure(value)) failure ??= value;
    else feeds[`i${index}`] = value;
  }
  const session = sessions.get(id) ?? { message: `There is no session ${id}.` };
  if (isFailure(session)) failure ??= session;
  try {
    if (failure || isFailure(session)) throw failure;
    const results = await session.run(feeds);
    for (const [index, name] of session.outputNames.entries()) {
      const [output, value] = [/** @type {number} */ (outputs[index]), /** @type {Value} */ (results[name])];
      values.set(output, value);
      if (value.location !== "cpu") givers.set(output, id);
    }
  } catch (error) {
    for (const output of outputs) values.set(output, failure ?? failureFrom(error));
  }
}

/**
 * Gives the memory of freed results back. ONNX Runtime made it, and V8 frees it with the object that stands for it: an object so
 * small that it would be left for several runs, with hundreds of megabytes behind it. Looking for it takes 4 ms.
 */
async function giveBack() {
  lingering = 0;
  collectGarbage();
  await new Promise((resolve) => setImmediate(resolve)); // Node frees what is behind the objects in the next turn
}

async function releaseClosing() {
  if (closing.size === 0) return;
  const needed = new Set(givers.values());
  for (const [id, session] of closing) {
    if (needed.has(id)) continue;
    closing.delete(id);
    await session.release();
  }
}

/**
 * A value as JavaScript reads it, wherever it was. (`getData`, which is to do that, ends the process.)
 * @param {Value | Failure} value
 * @param {number | undefined} through a session
 */
async function readable(value, through) {
  if (through === undefined || isFailure(value) || (value.location === "cpu" && value.type !== "float16")) return value;
  const session = sessions.get(through) ?? { message: `There is no session ${through}.` };
  if (isFailure(session)) return session;
  try {
    return /** @type {Value} */ ((await session.run({ x: value })).y);
  } catch (error) {
    return failureFrom(error);
  }
}

/**
 * @param {number} id
 * @returns {Value | Failure}
 */
function valueUnder(id) {
  return values.get(id) ?? { message: `There is no value ${id}.` };
}

/**
 * @param {Value | Session | Failure} it
 * @returns {it is Failure}
 */
function isFailure(it) {
  return "message" in it;
}

/**
 * @param {unknown} error
 * @returns {Failure}
 */
function failureFrom(error) {
  return { message: `ONNX Runtime: ${error instanceof Error ? error.message : error}` };
}

/**
 * @param {number} question
 * @param {import("./protocol.ts").Answer} content
 */
function answer(question, content) {
  parentPort?.postMessage({ question, ...content });
}

/** @param {Request} request */
async function handleUnlessEnding(request) {
  Atomics.store(state, 1, 1);
  try {
    if (request.kind === "end" || Atomics.load(state, 0) === 0) await handle(request);
  } finally {
    beIdle();
  }
}

// One after the other: a message may wait for ONNX Runtime, and the next must not overtake it.
let last = Promise.resolve();
parentPort?.on("message", (/** @type {Request} */ request) => {
  last = last.then(() => handleUnlessEnding(request));
});
