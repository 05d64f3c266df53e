// Runs the tests that were declared, and sends what became of them to the process that started this one.
import { env, files } from "./globals.js";

/** @typedef {{ file: string, name: string, failures: string[] }} Spec */

const titleOf = (/** @type {{ id: string, fullName: string }} */ { id, fullName }) => ({
  file: files.get(id) ?? "",
  name: fullName.replace(" onnxruntime {}", ""),
});

const [part] = process.argv.slice(2);
if (part !== undefined) {
  const isWanted = (/** @type {any} */ spec) => Object.values(titleOf(spec.result)).join(": ").includes(part);
  env.configure({ specFilter: isWanted });
}

/** @type {Spec[]} */
const specs = [];
env.addReporter({
  specDone: (/** @type {any} */ result) => {
    if (result.status !== "passed" && result.status !== "failed") return;
    const failures = result.failedExpectations.map((/** @type {Error} */ { message }) => message);
    specs.push({ ...titleOf(result), failures });
  },
  jasmineDone: () => process.send?.(specs, () => process.exit()),
});
env.execute();
