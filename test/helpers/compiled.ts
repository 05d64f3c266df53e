import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * The library as JavaScript, for tests that run it in a process of its own: the folder that stands for `src`. It lies inside
 * the repository, so that the packages are found. Call `remove` in the end.
 */
export async function compileSources(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(root, "node_modules", ".compiled-"));
  const options = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    verbatimModuleSyntax: true,
    rewriteRelativeImportExtensions: true,
  };
  await writeFile(join(folder, "package.json"), '{"type":"module"}');
  for (const file of await readdir(join(root, "src"), { recursive: true })) {
    if (!/\.(ts|c?js)$/.test(file)) continue;
    const source = await readFile(join(root, "src", file), "utf8");
    const target = join(folder, file.replace(/\.ts$/, ".js"));
    await mkdir(dirname(target), { recursive: true });
    const isScript = !file.endsWith(".ts");
    await writeFile(target, isScript ? source : ts.transpileModule(source, { compilerOptions: options }).outputText);
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
