import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { InputError } from "../src/errors.ts";
import { isTemporaryName, readJsonFile, readTextFile, writeFileAtomically } from "../src/files.ts";

let base: string;
let folder: string;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "files-"));
});
beforeEach(async () => {
  folder = await mkdtemp(join(base, "case-"));
});
afterAll(() => rm(base, { recursive: true }));

const bytes = (...values: number[]) => new Uint8Array(values);

describe("writeFileAtomically", () => {
  test("writes text, bytes and pieces, and leaves nothing beside them", async () => {
    async function* pieces() {
      yield bytes(1, 2);
      yield bytes(3);
    }
    await writeFileAtomically(join(folder, "text"), "é");
    await writeFileAtomically(join(folder, "bytes"), bytes(7));
    await writeFileAtomically(join(folder, "pieces"), pieces());
    expect(await readFile(join(folder, "text"), "utf8")).toBe("é");
    expect([...(await readFile(join(folder, "bytes")))]).toEqual([7]);
    expect([...(await readFile(join(folder, "pieces")))]).toEqual([1, 2, 3]);
    expect((await readdir(folder)).sort()).toEqual(["bytes", "pieces", "text"]);
  });

  test("keeps the earlier file when the pieces end with an error or an abort", async () => {
    const path = join(folder, "kept");
    await writeFile(path, "before");
    const control = new AbortController();
    async function* failing() {
      yield bytes(1);
      throw new Error("no more");
    }
    async function* aborted() {
      yield bytes(1);
      control.abort(new Error("stopped"));
      yield bytes(2);
    }
    await expect(writeFileAtomically(path, failing())).rejects.toThrow("no more");
    await expect(writeFileAtomically(path, aborted(), { signal: control.signal })).rejects.toThrow("stopped");
    expect(await readFile(path, "utf8")).toBe("before");
    expect(await readdir(folder)).toEqual(["kept"]);
  });

  test("is not seen under its name before it is whole", async () => {
    const path = join(folder, "whole");
    let during: string[] = [];
    async function* pieces() {
      yield bytes(1);
      during = await readdir(folder);
    }
    await writeFileAtomically(path, pieces());
    expect(during).toHaveLength(1);
    expect(isTemporaryName(during[0]!)).toBe(true);
    expect(isTemporaryName("whole")).toBe(false);
  });

  test("writes through a link", async () => {
    await writeFile(join(folder, "target"), "before");
    await symlink("target", join(folder, "link"));
    await writeFileAtomically(join(folder, "link"), "after");
    expect((await lstat(join(folder, "link"))).isSymbolicLink()).toBe(true);
    expect(await readFile(join(folder, "target"), "utf8")).toBe("after");
  });

  test("takes a name as long as a name may be", async () => {
    for (const name of ["x".repeat(255), "語".repeat(85)]) {
      await writeFileAtomically(join(folder, name), "long");
      expect(await readFile(join(folder, name), "utf8")).toBe("long");
    }
  });

  test("says in a sentence why a file can't be written", async () => {
    await mkdir(join(folder, "sub"));
    await writeFile(join(folder, "file"), "");
    const cases: [string, string][] = [
      [join(folder, "none", "x"), `there is no folder ${join(folder, "none")}. Make it first.`],
      [join(folder, "file", "x"), `there is no folder ${join(folder, "file")}. Make it first.`],
      [join(folder, "sub"), "is a folder: give the name of a file to write."],
      [join(folder, "x".repeat(300)), "the name is too long. Choose a shorter one."],
    ];
    for (const [path, message] of cases) {
      const error = await writeFileAtomically(path, "x").catch((error: unknown) => error);
      expect(error).toBeInstanceOf(InputError);
      expect((error as Error).message).toContain(message);
      expect((error as Error).message).toContain(path);
    }
    expect((await readdir(folder)).sort()).toEqual(["file", "sub"]);
  });

  test.skipIf(!existsSync("/dev/full"))("says when the disk is full", async () => {
    await expect(writeFileAtomically("/dev/full", "x")).rejects.toThrow(
      "/dev/full can't be written: the disk is full. Free some space or choose another place.",
    );
    expect((await lstat("/dev/full")).isCharacterDevice()).toBe(true);
  });
});

describe("reading", () => {
  test("refuses what is missing, too large, not UTF-8, not JSON, or not a file", async () => {
    await writeFile(join(folder, "large"), "12345");
    await writeFile(join(folder, "latin1"), bytes(0xe9));
    await writeFile(join(folder, "broken"), '{"a":');
    await expect(readTextFile(join(folder, "none"), { limit: 9 })).rejects.toThrow(`There is no ${folder}/none.`);
    await expect(readTextFile(join(folder, "large"), { limit: 4 })).rejects.toThrow("has 5 bytes");
    await expect(readTextFile(join(folder, "latin1"), { limit: 4 })).rejects.toThrow("latin1 is not UTF-8 text.");
    await expect(readJsonFile(join(folder, "broken"))).rejects.toThrow("broken is not JSON");
    await expect(readJsonFile(folder)).rejects.toThrow("is a folder, not a file.");
  });

  test.skipIf(process.platform === "win32")("does not wait for a pipe", async () => {
    execFileSync("mkfifo", [join(folder, "pipe")]);
    await expect(readJsonFile(join(folder, "pipe"))).rejects.toThrow("is not a regular file.");
  });
});
