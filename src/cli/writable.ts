import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { InputError } from "../errors.ts";

/** @throws InputError where a file can't be written: said before the work, not after it */
export async function checkWritable(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory()) throw new InputError(`${path} is a folder: give the name of a file to write.`);
  const folder = dirname(path);
  if (!(await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw new InputError(`${path} can't be written: there is no folder ${folder}. Make it first.`);
  }
  try {
    await access(found ? path : folder, constants.W_OK);
  } catch (cause) {
    throw new InputError(`${path} can't be written: this user may not write there. Choose another place.`, { cause });
  }
}
