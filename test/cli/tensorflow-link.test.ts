import { execFileSync, spawn, spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { chmod, cp, mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { root, temporaryFolder } from "../helpers/cli.ts";

const modules = join(root, "node_modules");
const realPackage = join(modules, "@tensorflow/tfjs-node");
const headers = join(dirname(dirname(process.execPath)), "include/node/node_api.h");
const hasCompiler = spawnSync("c++", ["--version"]).status === 0 && existsSync(headers) && process.platform === "linux";
const hasPython = spawnSync("python3", ["--version"]).status === 0;

/** A project that depends on this package, as npm would lay it out, but for links to what is installed here. */
let project: string;
let packageFolder: string;
let addon: string;

beforeEach(async () => {
  project = await temporaryFolder();
  await chmod(project, 0o755);
  const own = join(project, "node_modules/tfjs-diffusion");
  await cp(join(root, "dist"), join(own, "dist"), { recursive: true });
  await cp(join(root, "package.json"), join(own, "package.json"));
  await mkdir(join(project, "node_modules/@tensorflow"));
  const packages = ["commander", "zod", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-cpu"];
  for (const name of packages) await symlink(join(modules, name), join(project, "node_modules", name));
  packageFolder = join(project, "node_modules/@tensorflow/tfjs-node");
  addon = join(packageFolder, "lib/napi-v8/tfjs_binding.node");
});

interface Run {
  env?: Record<string, string>;
  uid?: number;
  /** Called with the process's id once the file is there. */
  once?: { file: string; act: (pid: number) => void };
}

/** Runs `tfjs-diffusion tensorflow-link` as it is installed in the project. */
async function run(args: readonly string[], { env, uid, once }: Run = {}) {
  const main = join(project, "node_modules/tfjs-diffusion/dist/cli/main.js");
  const child = spawn(process.execPath, [main, "tensorflow-link", ...args], {
    cwd: project,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    ...(uid === undefined ? {} : { uid }),
  });
  let [stdout, stderr] = ["", ""];
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  if (once) {
    while (!existsSync(once.file) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 20));
    once.act(child.pid!);
  }
  return { code: await ended, stdout, stderr };
}

/** Writes a program into a folder that can be put on the PATH. */
async function program(name: string, lines: string): Promise<string> {
  const folder = join(project, "programs");
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, name), `#!/bin/sh\n${lines}\n`);
  chmodSync(join(folder, name), 0o755);
  return folder;
}

/** What stands in for TensorFlow: as much of its library and of tfjs-node as linking them looks at. */
const standIn = {
  header: 'extern "C" const char *TF_Version(void);',
  library: 'extern "C" const char *TF_Version(void) { return "VERSION"; }',
  addon: `
    #include <node_api.h>
    #include "tensorflow/c/eager/c_api.h"
    static napi_value IsUsingGpu(napi_env env, napi_callback_info) {
      napi_value no;
      napi_get_boolean(env, false, &no);
      return no;
    }
    NAPI_MODULE_INIT() {
      napi_value version, gpu;
      napi_create_string_utf8(env, TF_Version(), NAPI_AUTO_LENGTH, &version);
      napi_set_named_property(env, exports, "TF_Version", version);
      napi_create_function(env, "isUsingGpuDevice", NAPI_AUTO_LENGTH, IsUsingGpu, nullptr, &gpu);
      napi_set_named_property(env, exports, "isUsingGpuDevice", gpu);
      return exports;
    }`,
};

/** A folder as `site-packages/tensorflow` is, with such a version and code. */
async function tensorflow(version: string, code = standIn.library): Promise<string> {
  const folder = join(project, `site-packages-${version}/tensorflow`);
  await mkdir(join(folder, "include/tensorflow/c/eager"), { recursive: true });
  await mkdir(join(folder, `../tensorflow_cpu-${version}.dist-info`));
  await writeFile(join(folder, "include/tensorflow/c/eager/c_api.h"), standIn.header);
  await writeFile(join(folder, "library.cc"), code.replace("VERSION", version));
  for (const part of ["cc", "framework"]) {
    const name = `libtensorflow_${part}.so.2`;
    const source = part === "cc" ? "library.cc" : "/dev/null";
    const args = ["-shared", "-fPIC", `-Wl,-soname,${name}`, "-x", "c++", source, "-o", name];
    if (hasCompiler) execFileSync("c++", args, { cwd: folder });
    else await writeFile(join(folder, name), "");
  }
  return folder;
}

/** tfjs-node as npm unpacks it, without an addon. */
async function writePackage(folder: string, { version = "4.22.0" } = {}): Promise<void> {
  await mkdir(join(folder, "binding"), { recursive: true });
  const binary = { napi_versions: [3, 4, 5, 6, 7, 8] };
  await writeFile(join(folder, "package.json"), JSON.stringify({ name: "@tensorflow/tfjs-node", version, binary }));
  await writeFile(join(folder, "binding/tfjs_backend.cc"), "");
  await writeFile(join(folder, "binding/tfjs_binding.cc"), standIn.addon);
}

/** A program npm that "fetches" from the project, and notes what it was asked for. */
async function npm(): Promise<Record<string, string>> {
  const store = join(project, "store");
  await writePackage(store);
  const folder = await program(
    "npm",
    `echo "$@" > ${project}/asked; mkdir -p node_modules/@tensorflow; cp -r ${store} node_modules/@tensorflow/tfjs-node`,
  );
  return { PATH: `${folder}:${process.env.PATH}` };
}

/** What a compiler or npm does that takes for ever, once it has written its process's id into a file. */
function hanging(started: string): string {
  return `[ "$1" = --version ] && echo slow 1 && exit; echo $$ > ${started}.new; mv ${started}.new ${started}; exec sleep 1000`;
}

/** Every file below a folder with what is in it. */
async function contents(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const pairs = entries.map(async (entry) => {
    const path = join(entry.parentPath, entry.name);
    return [path, entry.isFile() ? (await readFile(path)).toString("base64") : "folder or link"] as const;
  });
  return Object.fromEntries(await Promise.all(pairs));
}

/** The version that the addon in place gives. */
function loads(): string {
  const script = "console.log(require(process.argv[1]).TF_Version)";
  return execFileSync(process.execPath, ["-e", script, addon], { encoding: "utf8" }).trim();
}

/** All that linking may change. */
function scope(): Promise<Record<string, string>> {
  return contents(join(project, "node_modules/@tensorflow"));
}

describe("tensorflow-link refuses, and changes nothing,", () => {
  const empty = { PATH: "/nowhere" };

  it.each([
    ["two places", ["--python", "a", "--from", "b"], /--python and --from both say where TensorFlow is/],
    ["no Python", [], /There is no program python3 or python: name the Python .* --python, .* --from\./],
    ["a Python that is not there", ["--python", "./no/python"], /There is no program \/.*\/no\/python: name/],
    ["what is no Python", ["--python", "/bin/echo"], /\/bin\/echo does not answer as Python 3 does \(exit code 0/],
    ["a folder that is not there", ["--from", "no"], /--from \/.*\/no: there is no such folder/],
    [
      "a folder without TensorFlow",
      ["--from", "."],
      /holds no TensorFlow library .* no libtensorflow_cc\.so\.2, and no lib\//,
    ],
    ["undoing nothing", ["--undo"], /@tensorflow\/tfjs-node is not linked, so there is nothing to undo/],
    ["undoing nothing for CUDA", ["--undo", "--gpu"], /@tensorflow\/tfjs-node-gpu is not linked/],
  ])("%s", async (_, args, message) => {
    const before = await scope();
    const { code, stdout, stderr } = await run(args, { env: empty });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
    expect(await scope()).toEqual(before);
  });

  it.skipIf(!hasPython)(
    "a Python without TensorFlow, even where the folder that it is started in has that name",
    async () => {
      await mkdir(join(project, "tensorflow"));
      await writeFile(join(project, "tensorflow/__init__.py"), "raise SystemExit(3)");
      const folder = await program("python3", 'PATH=$REAL_PATH; exec python3 -S "$@"');
      const { code, stderr } = await run([], { env: { PATH: folder, REAL_PATH: process.env.PATH! } });
      expect(stderr).toMatch(
        /python3 \(Python 3\.\d+\.\d+\S*\) has no TensorFlow: "python3 -m pip install tensorflow-cpu"/,
      );
      expect(code).toBe(2);
    },
  );

  it.each([
    ["2.9.1", /is TensorFlow 2\.9\.1; this needs 2\.13 or newer, and older than 3/],
    ["3.0.0", /is TensorFlow 3\.0\.0; this needs 2\.13/],
  ])("TensorFlow %s", async (version, message) => {
    const { code, stderr } = await run(["--from", await tensorflow(version)], { env: empty });
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  it("a TensorFlow without its headers, one without CUDA for --gpu, and a machine without a compiler", async () => {
    const from = await tensorflow("2.21.0");
    expect((await run(["--from", from], { env: empty })).stderr).toMatch(
      /no C\+\+ compiler .*: "apt-get install g\+\+"/,
    );
    const env = { PATH: "/nowhere", CXX: "no-such-compiler -O3" };
    expect((await run(["--from", from], { env })).stderr).toMatch(/CXX names, "no-such-compiler -O3", does not run/);
    await mkdir(join(from, "python/platform"), { recursive: true });
    await writeFile(join(from, "python/platform/build_info.py"), "build_info = dict([('is_cuda_build', False)])");
    const forGpu = await run(["--from", from, "--gpu"], { env: empty });
    expect(forGpu.stderr).toMatch(/was built without CUDA: "pip install tensorflow\[and-cuda\]" has it/);
    await rm(join(from, "include"), { recursive: true });
    expect((await run(["--from", from], { env: empty })).stderr).toMatch(/no whole TensorFlow: .*c_api\.h is missing/);
  });

  it("a folder that this user may not write to", async () => {
    await chmod(join(project, "node_modules/@tensorflow"), 0o555);
    const env = { CXX: join(await program("c++", "echo compiler 1"), "c++") };
    const nobody = process.getuid?.() === 0 ? { uid: 65534 } : {}; // root may write anywhere
    const { code, stderr } = await run(["--from", await tensorflow("2.21.0")], { env, ...nobody });
    expect(stderr).toMatch(/node_modules\/@tensorflow\/\S+ can't be written: this user may not write there/);
    expect(code).toBe(2);
    await chmod(join(project, "node_modules/@tensorflow"), 0o755);
  });

  it("a package of another version than tfjs", async () => {
    await writePackage(packageFolder, { version: "3.21.0" });
    const env = { CXX: join(await program("c++", "echo compiler 1"), "c++") };
    const { stderr } = await run(["--from", await tensorflow("2.21.0")], { env });
    expect(stderr).toMatch(
      /tfjs-node is version 3\.21\.0, which does not fit tfjs 4\.22\.0: "npm install --ignore-scripts/,
    );
  });
});

describe.skipIf(!hasCompiler)(
  "tensorflow-link (skipped where there is no c++ on Linux, or Node came without headers)",
  () => {
    it("says what it does, fetches the package without its scripts, links it, and removes it again", async () => {
      const before = await scope();
      const env = await npm();
      const from = await tensorflow("2.21.0");
      const { code, stdout, stderr } = await run(["--from", from], { env });
      expect(stderr).toMatch(
        /TensorFlow 2\.21\.0 in .*:\n {2}1\. fetch @tensorflow\/tfjs-node@4\.22\.0 from npm, without install scripts\n {2}2\. compile .*\n {2}3\. start .*\n {2}4\. put it into .*tfjs-node\n/,
      );
      expect(stdout).toBe(
        `The backend "tensorflow" computes with TensorFlow 2.21.0 (${from}/libtensorflow_cc.so.2), on the processor: it sees no GPU.\n`,
      );
      expect(code).toBe(0);
      expect(await readFile(join(project, "asked"), "utf8")).toMatch(
        /^install .*--ignore-scripts.* @tensorflow\/tfjs-node@4/,
      );
      expect(loads()).toBe("2.21.0");
      expect((await readdir(dirname(packageFolder))).sort()).toEqual(["tfjs-backend-cpu", "tfjs-core", "tfjs-node"]);

      const undone = await run(["--undo"]);
      expect([undone.code, undone.stdout]).toEqual([0, expect.stringMatching(/tfjs-node is removed/)]);
      expect(await scope()).toEqual(before);
    });

    it("keeps the addon that was there, however often it links, and restores it", async () => {
      await writePackage(packageFolder);
      await mkdir(dirname(addon), { recursive: true });
      await writeFile(addon, "the addon that npm downloaded");
      const before = await scope();
      for (const version of ["2.20.0", "2.21.0"]) {
        expect(await run(["--from", await tensorflow(version)])).toMatchObject({ code: 0 });
        expect(loads()).toBe(version);
      }
      expect((await run(["--undo"])).stdout).toMatch(/is as it was before, with its own addon/);
      expect(await scope()).toEqual(before);
    });

    it("leaves no folder behind where there was no addon", async () => {
      await writePackage(packageFolder);
      const before = await scope();
      expect(await run(["--from", await tensorflow("2.21.0")])).toMatchObject({ code: 0 });
      expect((await run(["--undo"])).stdout).toMatch(/is as it was before, without an addon/);
      expect(await scope()).toEqual(before);
    });

    it("puts nothing in place that does not compile, does not load, or can't be fetched", async () => {
      await writePackage(packageFolder);
      const before = await scope();
      const incompatible = await tensorflow("2.22.0");
      await writeFile(join(incompatible, "include/tensorflow/c/eager/c_api.h"), '#error "no such interface"');
      const uncompiled = await run(["--from", incompatible]);
      expect([uncompiled.code, uncompiled.stdout]).toEqual([2, ""]);
      expect(uncompiled.stderr).toMatch(/can't be compiled with .*It says:\n.*#error "no such interface"/);

      const lacking = await run(["--from", await tensorflow("2.21.0", "int nothing;")]);
      expect([lacking.code, lacking.stdout]).toEqual([2, ""]);
      expect(lacking.stderr).toMatch(
        /was compiled, but does not load: .*undefined symbol: TF_Version\. Another version/,
      );

      const crash = 'extern "C" const char *TF_Version(void) { __builtin_trap(); }';
      const crashed = await run(["--from", await tensorflow("2.20.0", crash)]);
      expect([crashed.code, crashed.stdout]).toEqual([2, ""]);
      expect(crashed.stderr).toMatch(/The addon was compiled, but does not load/);
      expect(await scope()).toEqual(before);

      await rm(packageFolder, { recursive: true });
      const path = await program("npm", 'echo "npm error network ENOTFOUND" >&2; exit 1');
      const unfetched = await run(["--from", await tensorflow("2.19.0")], {
        env: { PATH: `${path}:${process.env.PATH}` },
      });
      expect(unfetched.stderr).toMatch(
        /npm can't fetch @tensorflow\/tfjs-node@4\.22\.0\. It says:\nnpm error network ENOTFOUND/,
      );
      expect(Object.keys(await scope()).join()).not.toContain("tfjs-node");
    });

    it.each([
      ["Ctrl-C while npm fetches", "npm", "SIGINT", 130],
      ["SIGTERM while the compiler works", "c++", "SIGTERM", 143],
    ] as const)("leaves everything as it was after %s, and ends what it started", async (_, slow, signal, exitCode) => {
      if (slow === "c++") await writePackage(packageFolder);
      const before = await scope();
      const from = await tensorflow("2.21.0");
      const started = join(project, "started");
      const path = await program(slow, hanging(started));
      const env = { PATH: `${path}:${process.env.PATH}` };
      const once = { file: started, act: (pid: number) => void process.kill(pid, signal) };
      const { code, stdout, stderr } = await run(["--from", from], { env, once });
      expect([code, stdout, stderr.split("\n").at(-2)]).toEqual([exitCode, "", "stopped."]);
      const pid = Number(await readFile(started, "utf8"));
      expect(() => process.kill(pid, 0)).toThrow("ESRCH");
      expect(await scope()).toEqual(before);
    });

    it("cleans up after one that was killed, and does not disturb one at work", async () => {
      const env = await npm();
      const from = await tensorflow("2.21.0");
      const started = join(project, "started");
      const path = await program("slow", hanging(started));
      const killed = run(["--from", from], { env: { ...env, CXX: join(path, "slow") } });
      while (!existsSync(started)) await new Promise((resolve) => setTimeout(resolve, 20));
      expect((await run(["--from", from], { env })).stderr).toMatch(
        /Another tensorflow-link \(process \d+\) is at work there/,
      );
      const stage = (await readdir(dirname(packageFolder))).find((name) => name.startsWith("."))!;
      process.kill(Number(stage.split("-").at(-1)), "SIGKILL");
      process.kill(Number(await readFile(started, "utf8")));
      expect((await killed).code).toBeNull();
      expect(await run(["--from", from], { env })).toMatchObject({ code: 0 });
      expect((await readdir(dirname(packageFolder))).sort()).toEqual(["tfjs-backend-cpu", "tfjs-core", "tfjs-node"]);
      expect(loads()).toBe("2.21.0");
    });
  },
);

const linked = join(realPackage, "tensorflow-link.json");

describe.skipIf(!existsSync(linked))("tensorflow-link with TensorFlow (skipped where it is not linked here)", () => {
  it("makes the backend compute, and undone leaves none", async () => {
    const { library } = JSON.parse(await readFile(linked, "utf8")) as { library: string };
    for (const part of ["package.json", "binding", "dist"]) {
      await cp(join(realPackage, part), join(packageFolder, part), { recursive: true });
    }
    await symlink(join(realPackage, "node_modules"), join(packageFolder, "node_modules"));
    const before = await scope();
    const { code, stdout, stderr } = await run(["--from", library]);
    expect([code, stderr.match(/error:.*/)]).toEqual([0, null]);
    expect(stdout).toMatch(/^The backend "tensorflow" computes with TensorFlow 2\.\d+\.\d+ \(.*libtensorflow/);
    expect(product()).toBe("tensorflow 3,4,6,8");

    expect((await run(["--undo"])).code).toBe(0);
    expect(await scope()).toEqual(before);
    expect(product()).toMatch(/it has no addon, .* "tfjs-diffusion tensorflow-link" builds/);
  });
});

/** What a program in the project computes with the backend. */
function product(): string {
  const script = `
    const tf = await import("@tensorflow/tfjs-core");
    const { useBackend } = await import("tfjs-diffusion/backends");
    await useBackend("tensorflow")
      .then(async () => console.log(tf.getBackend(), String(await tf.matMul([[1], [2]], [[3, 4]]).data())))
      .catch((error) => console.log(error.message));`;
  return execFileSync(process.execPath, ["--input-type=module", "-e", script], {
    cwd: project,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}
