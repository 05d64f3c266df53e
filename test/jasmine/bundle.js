// Puts tfjs-core, its tests and the backend into one program, so that they share one instance of the core. The backend "cpu"
// is there for what ours leaves to it.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("../../", import.meta.url));
const core = join(root, "node_modules/@tensorflow/tfjs-core/dist");
const cpu = join(root, "node_modules/@tensorflow/tfjs-backend-cpu/dist");
const backend = join(root, "src/backends/onnxruntime");
const here = join(root, "test/jasmine");

/** The rest tests what no backend has a part in: files and formats, platforms, helpers without tensors. */
const folders = ["ops", "optimizers"];
const files = [
  ...[
    "buffer",
    "debug_mode",
    "engine",
    "flags",
    "globals",
    "gradients",
    "kernel_registry",
    "profiler",
    "serialization",
  ],
  ...["tape", "tensor", "tensor_util", "test_util", "variable"],
].map((name) => `${name}_test.js`);

const testFiles = readdirSync(core, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith("_test.js"))
  .filter((file) => files.includes(file) || folders.some((folder) => file.startsWith(`${folder}/`)))
  .sort();

/** @returns the program's path */
export async function bundle() {
  const bundled = await rolldown({
    input: { jasmine: "virtual:jasmine", worker: join(backend, "worker.js") },
    platform: "node",
    external: ["onnxruntime-node", "jasmine-core"],
    resolve: { alias: { "@tensorflow/tfjs-core": join(core, "index.js") } },
    plugins: [{ name: "jasmine", resolveId: (id) => (id.startsWith("virtual:") ? `\0${id}` : null), load: virtual }],
    treeshake: false,
    logLevel: "silent",
  });
  await bundled.write({ dir: join(root, "out/jasmine"), entryFileNames: "[name].js", format: "esm" });
  return join(root, "out/jasmine/jasmine.js");
}

/** Modules that exist only here: the program, and before each file of tests one that says which follows. */
function virtual(/** @type {string} */ id) {
  if (id.startsWith("\0virtual:file:")) return `globalThis.jasmineFile("${id.slice("\0virtual:file:".length)}");`;
  if (id === "\0virtual:environment") {
    return `import { setTestEnvs } from "${core}/jasmine_util.js";
      setTestEnvs([{ name: "onnxruntime", backendName: "onnxruntime", isDataSync: false }]);`;
  }
  if (id !== "\0virtual:jasmine") return null;
  return [
    join(here, "globals.js"),
    join(core, "index.js"),
    join(core, "register_all_gradients.js"),
    join(core, "public/chained_ops/register_all_chained_ops.js"),
    join(cpu, "index.js"),
    "virtual:environment",
    join(backend, "index.ts"),
    ...testFiles.flatMap((file) => [`virtual:file:${file}`, join(core, file)]),
    join(here, "specs.js"),
  ]
    .map((path) => `import "${path}";`)
    .join("\n");
}
