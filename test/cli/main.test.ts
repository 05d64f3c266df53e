import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, it } from "vitest";
import { backendNames, defaultBackend } from "../../src/backends/index.ts";
import { addBackendOptions } from "../../src/cli/options.ts";
import { root, runCli } from "../helpers/cli.ts";

const commands = ["generate", "show", "convert", "describe", "observe", "compare", "doctor"];

describe("the command line", () => {
  it("prints its help in under a second, with every command and examples", async () => {
    const { code, stdout, stderr, cpu } = await runCli(["--help"]);
    expect([code, stderr]).toEqual([0, ""]);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
    expect(stdout).toContain("Examples:");
    expect(cpu).toBeLessThan(1000);
  });

  it.each(commands)("explains %s, with an example that names it", async (command) => {
    const { code, stdout } = await runCli([command, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`Examples:\n  tfjs-diffusion ${command}`));
    for (const line of stdout.split("Examples:")[0]!.split("\n")) expect(line.length).toBeLessThanOrEqual(120);
  });

  it("prints its version", async () => {
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
    expect((await runCli(["--version"])).stdout).toBe(`${version}\n`);
  });

  it.each([
    ["no command", [], /Usage/],
    ["an unknown command", ["paint"], /unknown command 'paint'[\s\S]*--help/],
    ["an unknown option", ["doctor", "--fast"], /unknown option '--fast'[\s\S]*doctor --help/],
    ["a missing argument", ["describe"], /missing required argument 'model'[\s\S]*describe --help/],
    ["a missing option", ["observe", "weights/tiny"], /required option '--output <file>'[\s\S]*observe --help/],
    [
      "a bad whole number",
      ["describe", "sdxl", "--depth", "1.5"],
      /'1.5' is invalid. It must be a whole number, 0 or more/,
    ],
    ["a bad number", ["compare", "a", "b", "--tolerance", "much"], /'much' is invalid. It must be a number, 0 or more/],
    [
      "a number out of range",
      ["generate", "--model", "m", "--prompt", "x", "--guidance-rescale", "2"],
      /'2' is invalid. It must be a number from 0 to 1/,
    ],
    [
      "a word that is none of the choices",
      ["convert", "a", "b", "--dtype", "int4"],
      /Allowed choices are float32, float16, keep/,
    ],
    [
      "an unknown backend",
      ["observe", "a", "--output", "b", "--backend", "gpu"],
      /Allowed choices are onnxruntime, wasm, cpu, tensorflow/,
    ],
    ["an unknown device", ["compare", "a", "b", "--device", "gpu"], /Allowed choices are cpu, webgpu, cuda/],
    ["no threads", ["generate", "--model", "m", "--prompt", "x", "--threads", "0"], /'0' is invalid.* from 1 to 1024/],
  ])("exits with 2 and a hint after %s", async (_, args, message) => {
    const { code, stdout, stderr } = await runCli(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(message);
  });

  it.each([
    ["a folder that is not there", ["describe", "no/such/folder"], "no/such/folder"],
    ["a file that is no picture", ["show", "package.json"], "package.json"],
    ["a file without an end", ["show", "/dev/zero"], "/dev/zero is not a regular file"],
    ["a file that is no recording", ["compare", "weights/tiny", "package.json"], "package.json"],
    ["a model without model_index.json", ["generate", "--model", "src", "--prompt", "x"], "src"],
    [
      "an option that the backend does not have",
      [
        "observe",
        "weights/tiny",
        "--component",
        "unet",
        "--output",
        "/dev/null",
        "--backend",
        "wasm",
        "--threads",
        "2",
      ],
      'The backend "wasm" has no option "threads"',
    ],
    ["a preset that is to be run", ["observe", "sdxl", "--component", "unet", "--output", "/dev/null"], "sdxl"],
  ])("says in one line what is wrong with %s, and exits with 2", async (_, args, named) => {
    const { code, stdout, stderr } = await runCli(args, { cwd: root });
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(/^error: .*\n$/);
    expect(stderr).toContain(named);
  });

  it("prints a stack trace only where it is asked for", async () => {
    const { stderr } = await runCli(["describe", "no/such/folder"], { env: { TFJS_DIFFUSION_DEBUG: "1" } });
    expect(stderr).toMatch(/^error: InputError: no\/such\/folder .*\n +at /);
  });

  it("is quiet when its reader goes away", async () => {
    const { code, stderr } = await new Promise<{ code: number | null; stderr: string }>((resolve) => {
      const child = spawn(process.execPath, [join(root, "dist/cli/main.js"), "describe", "sdxl", "--json"]);
      let stderr = "";
      child.stderr.on("data", (text) => {
        stderr += text;
      });
      child.stdout.destroy();
      child.on("close", (code) => resolve({ code, stderr }));
    });
    expect([code, stderr]).toEqual([0, ""]);
  });

  it("offers the backends that there are", () => {
    const [backendOption] = addBackendOptions(new Command()).options;
    expect(backendOption?.argChoices).toEqual(backendNames);
    expect(backendOption?.defaultValue).toBe(defaultBackend);
  });
});
