// The bundled converter, a thin caller of the library. Node 20 runs no TypeScript, so `npm run convert -- SOURCE DEST`
// compiles it first; from Node 22.18 on, `node weights/convert.ts SOURCE DEST` does after `npm run build`.
import { parseArgs } from "node:util";
import { convertFolder, type StorageChoice } from "tfjs-diffusion/weights";

const choices: readonly string[] = ["float32", "float16", "keep"] satisfies StorageChoice[];
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { dtype: { type: "string", default: "keep" } },
});
const [source, dest, ...more] = positionals;
if (!source || !dest || more.length > 0 || !choices.includes(values.dtype)) {
  console.error("npm run convert -- SOURCE DEST [--dtype float32|float16|keep]");
  process.exit(2);
}

let shown = "";
/** One line that is written over; only when it says something new. */
function show(line: string): void {
  if (line !== shown) process.stderr.write(`\r${line}\x1b[K`);
  shown = line;
}

const control = new AbortController();
process.once("SIGINT", () => control.abort(new Error("Stopped. The same command goes on from here.")));
try {
  const report = await convertFolder(source, dest, {
    dtype: values.dtype as StorageChoice,
    signal: control.signal,
    onProgress: ({ done, total, secondsLeft = 0, file }) =>
      show(`${Math.floor((100 * done) / total)} %, ${Math.ceil(secondsLeft)} s left, ${file}`),
  });
  process.stderr.write("\n");
  for (const { path, bytes, sha256 } of report.files) console.log(`${sha256}  ${path}  ${bytes}`);
} catch (error) {
  console.error(`\n${(error as Error).message}`);
  process.exitCode = control.signal.aborted ? 130 : 2;
}
