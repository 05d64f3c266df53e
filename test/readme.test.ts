import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { decodePng } from "../src/image/index.ts";
import { codeBlocks } from "./helpers/readme.ts";

// What README says is done here as it stands there. Inside the repository, "tfjs-diffusion" is what dist/ holds.

const run = promisify(execFile);
const folder = resolve("out/readme");
beforeAll(() => mkdir(folder, { recursive: true }));
afterAll(() => rm(folder, { recursive: true }));

test("the example is one of 15 lines, has the types that it seems to have, and makes a picture", async () => {
  const [example, ...others] = await codeBlocks("ts");
  expect(others).toEqual([]); // another one would have to be run here too
  expect(example!.split("\n").length).toBeLessThanOrEqual(15);
  const source = example!.replace('"weights/mini"', JSON.stringify(resolve("weights/mini")));
  await writeFile(join(folder, "example.mts"), source);
  const options = ["--module", "nodenext", "--target", "es2022", "--strict", "--skipLibCheck", "--types", "node"];
  const compile = run("node", ["node_modules/typescript/bin/tsc", ...options, join(folder, "example.mts")]);
  await compile.catch(({ stdout }) => expect.fail(stdout));

  const { stdout, stderr } = await run("node", ["example.mjs"], { cwd: folder });
  expect(stdout).toMatch(/^resembles: \[.*\]\n$/s);
  expect(stderr).toBe("");
  const { picture, texts } = decodePng(await readFile(join(folder, "picture.png")), "picture.png");
  expect([picture.width, picture.height]).toEqual([64, 64]);
  expect(texts.get("Comment")).toContain("tfjs-diffusion");
});

test("the two commands are one line each, begin with npm, and name what is there", async () => {
  const commands = (await codeBlocks("sh")).filter((block) => block.startsWith("npm"));
  expect(commands).toHaveLength(2);
  const [draw, check] = commands as [string, string];
  expect(draw).not.toContain("\n");
  expect(check).toBe("npm ci && npm test");
  const steps = draw.split(" && ");
  expect(steps.slice(0, 2)).toEqual(["npm ci", "npm run build"]);

  const words = [...steps[2]!.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);
  const [program, ...args] = words.map((word) => (word === "picture.png" ? join(folder, "drawn.png") : word));
  await run(program!, args);
  const { picture } = decodePng(await readFile(join(folder, "drawn.png")), "drawn.png");
  expect(picture.width).toBe(64);
});
