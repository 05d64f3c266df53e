import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("../src/", import.meta.url));

interface Module {
  /** "layers/conv2d.ts" */
  path: string;
  /** "layers" */
  area: string;
  source: ts.SourceFile;
  imports: { specifier: string; isDynamic: boolean }[];
}

const modules = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts") && !path.endsWith(".d.ts"))
  .map(read);

function read(path: string): Module {
  const source = ts.createSourceFile(path, readFileSync(join(root, path), "utf8"), ts.ScriptTarget.Latest, true);
  const imports: Module["imports"] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      const { moduleSpecifier } = node;
      if (moduleSpecifier && ts.isStringLiteral(moduleSpecifier)) {
        imports.push({ specifier: moduleSpecifier.text, isDynamic: false });
      }
    }
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [argument] = node.arguments;
      imports.push({ specifier: argument && ts.isStringLiteral(argument) ? argument.text : "?", isDynamic: true });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return { path, area: areaOf(path), source, imports };
}

function areaOf(path: string): string {
  return path.split("/")[0]!;
}

/** What each part of the library may import of the others. ops ← layers ← models ← pipelines ← inspect ← cli. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  "emscripten.ts": [],
  "float16.ts": [],
  "files.ts": ["errors.ts"],
  "config.ts": ["errors.ts"],
  random: ["errors.ts"],
  image: ["errors.ts", "files.ts", "config.ts"],
  scenes: ["errors.ts", "random", "image"],
  tokenizers: ["errors.ts", "emscripten.ts", "files.ts", "config.ts"],
  schedulers: ["errors.ts", "config.ts"],
  backends: ["errors.ts", "emscripten.ts", "float16.ts"],
  "tensorflow-link": ["errors.ts", "files.ts"],
  ops: ["errors.ts", "backends"],
  layers: ["errors.ts", "ops"],
  models: ["errors.ts", "config.ts", "ops", "layers"],
  weights: ["errors.ts", "files.ts", "config.ts", "float16.ts", "backends", "layers"],
  pipelines: [
    ...["errors.ts", "files.ts", "config.ts", "random", "image", "tokenizers", "schedulers"],
    ...["backends", "ops", "layers", "models", "weights"],
  ],
  training: [
    ...["errors.ts", "files.ts", "config.ts", "random", "image", "scenes", "tokenizers", "schedulers"],
    ...["backends", "ops", "layers", "models", "weights", "pipelines", "evaluation"],
  ],
  evaluation: [
    ...[
      "errors.ts",
      "files.ts",
      "config.ts",
      "image",
      "tokenizers",
      "layers",
      "models",
      "weights",
      "pipelines",
      "scenes",
    ],
  ],
  inspect: ["errors.ts", "files.ts", "random", "backends", "layers", "models", "weights", "pipelines"],
};
const everything = [...Object.keys(arrows)];
const areas: Readonly<Record<string, readonly string[]>> = { ...arrows, "index.ts": everything, cli: everything };

describe("the library's parts", () => {
  it("import only what lies below them", () => {
    const wrong = modules.flatMap(({ path, area, imports }) =>
      imports
        .filter(({ specifier }) => specifier.startsWith("."))
        .map(({ specifier }) => areaOf(relative(".", normalize(join(dirname(path), specifier)))))
        .filter((target) => target !== area && !areas[area]?.includes(target))
        .map((target) => `${path} imports ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it.each(Object.keys(areas))("%s reaches no part that reaches it", (area) => {
    const reached = new Set<string>();
    const visit = (from: string): void => {
      for (const to of areas[from]!.filter((next) => !reached.has(next))) {
        reached.add(to);
        visit(to);
      }
    };
    visit(area);
    expect([...reached]).not.toContain(area);
  });
});

/** Importing it registers the backend, as tfjs's own backends do. package.json says so. */
const registers = "backends/onnxruntime/index.ts";

/** Places where bytes enter or leave, and the backend that computes in a thread of Node's. */
const mayUseNode = [
  "backends/onnxruntime/",
  ...["files.ts", "weights/", "image/", "inspect/open.ts", "tensorflow-link/"],
  ...["evaluation/picture-folder.ts", "evaluation/picture-encoder.ts", "evaluation/caption-encoder.ts"],
  ...["tokenizers/open.ts", "tokenizers/sentencepiece.ts", "pipelines/open.ts", "pipelines/models-in.ts"],
  ...[
    "training/component.ts",
    "training/run.ts",
    "training/log.ts",
    "training/checkpoint.ts",
    "training/folder-dataset.ts",
  ],
];

describe("every module of the library", () => {
  const library = modules.filter(({ area }) => area !== "cli");

  /** What `find` finds, with the module's path. */
  function found(find: (module: Module) => readonly string[]): string[] {
    return library.flatMap((module) => find(module).map((what) => `${module.path}: ${what}`));
  }

  it("imports no tfjs backend but from backends/, and there only when it is asked to", () => {
    const wrong = found(({ area, imports }) =>
      imports
        .filter(({ specifier }) => /^@tensorflow\/(?!tfjs-core(\/|$))|^\?$/.test(specifier))
        .filter(({ isDynamic }) => !(area === "backends" && isDynamic))
        .map(({ specifier }) => specifier),
    );
    expect(wrong).toEqual([]);
  });

  it("imports node: modules only where bytes enter or leave", () => {
    const wrong = found(({ path, imports }) =>
      mayUseNode.some((place) => path.startsWith(place))
        ? []
        : imports.map(({ specifier }) => specifier).filter((specifier) => specifier.startsWith("node:")),
    );
    expect(wrong).toEqual([]);
  });

  it("does nothing when it is imported, as package.json's sideEffects promises", () => {
    const isHarmless = (statement: ts.Statement): boolean =>
      (ts.isImportDeclaration(statement) && statement.importClause !== undefined) ||
      ts.isExportDeclaration(statement) ||
      ts.isFunctionDeclaration(statement) ||
      ts.isClassDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement) ||
      ts.isTypeAliasDeclaration(statement) ||
      ts.isVariableStatement(statement);
    const wrong = found(({ path, source }) =>
      path === registers ? [] : source.statements.filter((one) => !isHarmless(one)).map((one) => one.getText()),
    );
    expect(wrong).toEqual([]);
    const { sideEffects } = JSON.parse(readFileSync(join(root, "../package.json"), "utf8"));
    expect(sideEffects).toEqual([`./dist/${registers.replace(".ts", ".js")}`, "./dist/cli/main.js"]);
  });

  it("waits for no backend, prints nothing, and leaves the process alone", () => {
    const forbidden = /\.(dataSync|arraySync)$|^tf\.einsum$|^console\.|^process\.(exit|on|once|abort|stdout|stderr)$/;
    const wrong = found(({ source }) =>
      nodes(source)
        .filter((node) => ts.isPropertyAccessExpression(node))
        .map((node) => node.getText())
        .filter((text) => forbidden.test(text)),
    );
    // Not a handler of anybody's errors or signals: a process that ends while ONNX Runtime computes would crash.
    expect(wrong).toEqual(["backends/onnxruntime/exit.ts: process.on"]);
  });

  it("leaves the freeing of tensors to apply", () => {
    const wrong = found(({ source }) =>
      nodes(source)
        .filter((node) => ts.isMethodDeclaration(node) && ["forward", "stages"].includes(node.name.getText()))
        .filter((method) => /\bdispose\(/.test(method.getText()))
        .map((method) => method.getText()),
    );
    expect(wrong).toEqual([]);
  });
});

function nodes(root: ts.Node): ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(root, (child) => {
    children.push(child);
  });
  return [root, ...children.flatMap(nodes)];
}
