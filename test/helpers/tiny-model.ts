import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

/** A copy of weights/tiny for one test, with the fields given changed in each JSON file; undefined takes a field away. */
export async function tinyModel(changes: Readonly<Record<string, object>> = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tfjs-diffusion-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp("weights/tiny", folder, { recursive: true });
  for (const [file, fields] of Object.entries(changes)) {
    const path = join(folder, file);
    const json = JSON.parse(await readFile(path, "utf8"));
    await writeFile(path, JSON.stringify({ ...json, ...fields }));
  }
  return folder;
}
