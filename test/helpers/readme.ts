import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { root } from "./cli.ts";

/** The blocks of code of one language that README holds, in their order. */
export async function codeBlocks(language: string): Promise<string[]> {
  const readme = await readFile(join(root, "README.md"), "utf8");
  return [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, text]) => text!.trim());
}
