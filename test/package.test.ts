import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decodePng } from "../src/image/index.ts";
import { root } from "./helpers/cli.ts";
import { codeBlocks } from "./helpers/readme.ts";

// What strangers get: the package as npm packs it, in an empty project that is not in this checkout. `npm test` builds first.

const run = promisify(execFile);
const modules = join(root, "node_modules");
const { name, bin, exports, dependencies } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));

let base: string;
let packed: { file: string; size: number; unpackedSize: number; files: { path: string }[] };
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "tfjs-diffusion-package-"));
  const { stdout } = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", base], {
    cwd: root,
  });
  const [{ filename, ...rest }] = JSON.parse(stdout);
  packed = { file: join(base, filename), ...rest };
});
afterAll(() => rm(base, { recursive: true, force: true }));

test("publint finds nothing", async () => {
  const { stdout } = await run("node", [join(modules, ".bin/publint"), "run", packed.file, "--strict"]);
  expect(stdout).toContain("All good!");
});

// The package has ES modules alone: from CommonJS it is imported as below. Resolution as in Node 10 knows no "exports".
test("attw finds nothing", async () => {
  const attw = run("node", [join(modules, ".bin/attw"), packed.file, "--profile", "esm-only"]);
  await attw.catch(({ stdout }) => expect.fail(stdout));
});

test("every source file is in it, compiled, and so is what the compiler does not make", async () => {
  const paths = new Set(packed.files.map(({ path }) => path));
  const sources = (await readdir(join(root, "src"), { recursive: true })).filter((file) =>
    /(?<!\.d)\.(ts|js)$/.test(file),
  );
  const wanted = sources.flatMap((file) => [`src/${file}`, `dist/${file.replace(/\.ts$/, ".js")}`]);
  expect(wanted.filter((path) => !paths.has(path))).toEqual([]);
  expect(paths).toContain("dist/backends/onnxruntime/worker.js");
  expect(paths).toContain("weights/tiny/model_index.json");
  expect(paths).toContain("weights/mini/model_index.json");
});

test("it has the size that README states", async () => {
  const readme = await readFile(join(root, "README.md"), "utf8");
  const stated = /([\d.]+) MB to download, ([\d.]+) MB unpacked/.exec(readme)!.slice(1).map(Number);
  for (const [i, bytes] of [packed.size, packed.unpackedSize].entries()) {
    expect(Math.abs(bytes / 1e6 / stated[i]! - 1), `${bytes} bytes`).toBeLessThan(0.1);
  }
});

/** Beside nothing but the dependencies that package.json names, as they lie in the checkout: needs no network. */
async function unpack(project: string): Promise<void> {
  const target = join(project, "node_modules", name);
  await mkdir(target, { recursive: true });
  await run("tar", ["-xzf", packed.file, "-C", target, "--strip-components", "1"]);
  for (const dependency of Object.keys(dependencies)) await link(project, dependency);
  await link(project, "@types/long"); // which TensorFlow.js depends on, and finds beside itself only where it is not linked
}

/** As npm does it, from the registry. Install scripts fetch large libraries from elsewhere that nothing here needs. */
async function install(project: string): Promise<void> {
  const options = ["--ignore-scripts", "--omit=optional", "--prefer-offline", "--no-audit", "--no-fund"];
  await run("npm", ["install", ...options, packed.file], { cwd: project });
}

async function link(project: string, dependency: string): Promise<void> {
  const path = join(project, "node_modules", dependency);
  await mkdir(dirname(path), { recursive: true });
  await symlink(join(modules, dependency), path);
}

describe.each([
  { how: "unpacked beside its dependencies", place: unpack, skipped: false },
  // `.ci/run` sets it; skipped elsewhere, because tests need no network.
  { how: "installed by npm, where TEST_REGISTRY is set", place: install, skipped: !process.env.TEST_REGISTRY },
])("$how", ({ place, skipped }) => {
  let project: string;
  let example: string;
  beforeAll(async () => {
    if (skipped) return;
    project = await mkdtemp(join(base, "project-"));
    await writeFile(join(project, "package.json"), '{ "private": true }');
    await place(project);
    await link(project, "@types/node");
    const [first] = await codeBlocks("ts");
    example = first!.replace('"weights/mini"', `"./node_modules/${name}/weights/mini"`);
  }, 300_000);

  async function compile(file: string, text: string, options: readonly string[]): Promise<void> {
    await writeFile(join(project, file), text);
    const args = [join(modules, ".bin/tsc"), "--strict", "--target", "es2022", ...options, file];
    await run("node", args, { cwd: project }).catch(({ stdout }) => expect.fail(stdout));
  }

  /** Runs a program that writes picture.png. The pixels come back. */
  async function pixels(program: string): Promise<Uint8Array> {
    await rm(join(project, "picture.png"), { force: true });
    const { stderr } = await run("node", [program], { cwd: project });
    expect(stderr).toBe("");
    return decodePng(await readFile(join(project, "picture.png")), "picture.png").picture.data;
  }

  test.skipIf(skipped).each([
    ["node16", "node16"],
    ["bundler", "esnext"],
  ])("TypeScript that resolves as %s knows the types of all its modules", async (resolution, module) => {
    const names = Object.keys(exports).filter((key) => key !== "./package.json");
    const lines = names.map((key, i) => `import * as module${i} from "${name}${key.slice(1)}";`);
    const used = `export const all: object[] = [${names.map((_, i) => `module${i}`)}];`;
    // Its own declarations and TensorFlow.js's are checked too: no "skipLibCheck".
    const options = ["--moduleResolution", resolution, "--module", module, "--noEmit"];
    await compile("modules.mts", [...lines, used, example].join("\n"), options);
  });

  test.skipIf(skipped)("README's example makes the same picture from TypeScript, JavaScript and CommonJS", async () => {
    await compile("typescript.mts", example, ["--module", "node16"]);
    await writeFile(join(project, "javascript.mjs"), example);
    const imports = example.replace(/^import (.*) from (.*);$/gm, "const $1 = await import($2);");
    await compile("commonjs.cts", `async function main() {\n${imports}\n}\nvoid main();`, ["--module", "node16"]);
    expect(await readFile(join(project, "commonjs.cjs"), "utf8")).toContain('"use strict"');

    const picture = await pixels("typescript.mjs");
    expect(new Set(picture).size).toBeGreaterThan(100);
    expect(await pixels("javascript.mjs")).toEqual(picture);
    expect(await pixels("commonjs.cjs")).toEqual(picture);
  });

  test.skipIf(skipped)("the command line works", async () => {
    const command = join(project, "node_modules", name, bin[name]);
    const args = [command, "generate", "--prompt", "花", "--steps", "2", "--output", "drawn.png"];
    const { stdout } = await run("node", args, { cwd: project });
    expect(await readdir(project)).toContain("drawn.png");
    expect(stdout).toContain(basename("drawn.png"));
  });
});
