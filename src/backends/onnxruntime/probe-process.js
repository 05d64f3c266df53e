// A process of its own, in which a device is tried: a driver that crashes, hangs or prints does so here. It is JavaScript, so
// that it runs as it stands, from the sources and from what is built of them. See probe.ts, which starts it and reads its answer.
import { InferenceSession, Tensor } from "onnxruntime-node";

/** @typedef {import("./probe.ts").Trial} Trial */

/** @param {Trial} trial */
async function attempt({ device, model, halfModel, inputs }) {
  const wanted = await run(model, inputs, "cpu");
  const found = await run(model, inputs, device);
  if (!areEqual(wanted, found)) return { isRight: false, hasHalf: false };
  const half = await run(halfModel, inputs, device, { session: { disable_cpu_ep_fallback: "1" } }).catch(() => []);
  return { isRight: true, hasHalf: areEqual(wanted, half) };
}

/**
 * @param {string} model
 * @param {Trial["inputs"]} inputs
 * @param {string} device
 * @param {Record<string, unknown>} [extra]
 */
async function run(model, inputs, device, extra = {}) {
  const session = await InferenceSession.create(Buffer.from(model, "base64"), {
    executionProviders: [device],
    logSeverityLevel: 4,
    extra,
  });
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, values }]) => [name, new Tensor("float32", values, shape)]),
  );
  const results = await session.run(feeds);
  return session.outputNames.map((name) => [
    .../** @type {Float32Array} */ (/** @type {import("onnxruntime-node").Tensor} */ (results[name]).data),
  ]);
}

/**
 * @param {number[][]} wanted
 * @param {number[][]} found
 */
function areEqual(wanted, found) {
  return wanted.every((values, index) => values.every((value, i) => value === found[index]?.[i]));
}

let text = "";
for await (const chunk of process.stdin.setEncoding("utf8")) text += chunk;
const answer = await attempt(JSON.parse(text)).catch((error) => ({ failure: String(error?.message ?? error) }));
process.stdout.write(JSON.stringify(answer));
