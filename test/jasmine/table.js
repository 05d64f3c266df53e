// What the table says: which tests are left out or fail, and why.

/** @typedef {import("./specs.js").Spec} Spec */
/** @typedef {{ run: number, exceptions: Record<string, Record<string, string>> }} Table by file and name: the reason */

/** Reasons that a failure itself gives. @type {[RegExp, (match: RegExpMatchArray) => string][]} */
const reasons = [
  [/has no kernel (\w+): (.*?) there\./, ([, name, why]) => `no kernel ${name}: ${why}`],
  [/does not compute (\w+): .* whose numbers/, ([, name]) => `${name} of numbers that take a synchronous read`],
  [/has no numbers of type (\w+)/, ([, dtype]) => `${dtype}: there is no such dtype`],
  [/dataSync\(\), arraySync\(\)/, () => "a synchronous read"],
];

/** Why a test is left out, or undefined where it fails. */
export function leftOut(/** @type {string[]} */ failures) {
  for (const [pattern, say] of reasons) {
    const match = failures.map((failure) => failure.match(pattern)).find(Boolean);
    if (match) return say(match);
  }
  return undefined;
}

/** Left out is what cannot exist here; every other exception is a failure. */
export const isLeftOut = (/** @type {string} */ reason) => /^no kernel|no such dtype|synchronous read/.test(reason);

/** What somebody wrote: a question mark is what nobody has looked at. */
function reasonBefore(/** @type {Table} */ { exceptions }, /** @type {string} */ file, /** @type {string} */ name) {
  const reason = exceptions[file]?.[name];
  return reason?.startsWith("?") || isLeftOut(reason ?? "") ? undefined : reason;
}

/**
 * The table of a run. Reasons that it had for failures are kept.
 * @param {Spec[]} specs
 * @param {Table} before
 * @returns {Table}
 */
export function tableOf(specs, before) {
  /** @type {Table} */
  const table = { run: specs.length, exceptions: {} };
  for (const { file, name, failures } of specs.filter(({ failures }) => failures.length > 0)) {
    table.exceptions[file] ??= {};
    table.exceptions[file][name] =
      leftOut(failures) ?? reasonBefore(before, file, name) ?? `?: ${failures[0]?.slice(0, 200)}`;
  }
  return table;
}

/**
 * The part that passes of the tests that are not left out.
 * @param {Spec[]} specs
 * @param {Table} table
 */
export function passing(specs, { exceptions }) {
  const tests = specs.filter(({ file, name }) => !isLeftOut(exceptions[file]?.[name] ?? ""));
  return tests.filter(({ failures }) => failures.length === 0).length / tests.length;
}

/**
 * What a run has that its table does not say.
 * @param {Spec[]} specs
 * @param {Table} table
 * @param {{ isWhole: boolean }} options whether all tests were run
 */
export function differences(specs, table, { isWhole }) {
  const exceptionOf = (/** @type {Spec} */ { file, name }) => table.exceptions[file]?.[name];
  const key = (/** @type {Spec} */ { file, name }) => `${file}: ${name}`;
  const failed = specs.filter(({ failures }) => failures.length > 0);
  const failedKeys = new Set(failed.map(key));
  return [
    ...failed.filter((spec) => !exceptionOf(spec)).map((spec) => `${key(spec)}\n    ${spec.failures.join("\n    ")}`),
    ...specs
      .filter((spec) => exceptionOf(spec) && !failedKeys.has(key(spec)))
      .map((spec) => `${key(spec)}\n    passes, but the table has it as an exception: write the table again.`),
    ...(isWhole && passing(specs, table) < 0.95 ? ["Less than 95 % of the tests pass."] : []),
    ...(isWhole && specs.length < table.run ? [`Only ${specs.length} of ${table.run} tests were run.`] : []),
  ];
}

/**
 * The table to read.
 * @param {Spec[]} specs
 * @param {Table} table
 * @param {Record<string, string>} versions
 */
export function markdown(specs, table, versions) {
  const exceptions = Object.values(table.exceptions).flatMap((tests) => Object.values(tests));
  const reasonOf = (/** @type {Spec} */ { file, name }) => table.exceptions[file]?.[name];
  const out = specs.filter((spec) => isLeftOut(reasonOf(spec) ?? ""));
  const rest = specs.length - out.length;
  const failed = specs.filter((spec) => reasonOf(spec) && !isLeftOut(reasonOf(spec) ?? ""));
  const share = ((100 * (rest - failed.length)) / rest).toFixed(1);
  const byReason = [...new Set(exceptions.filter(isLeftOut))].sort();
  const count = (/** @type {string} */ reason) => out.filter((spec) => reasonOf(spec) === reason).length;
  const filesOfTests = [...new Set(specs.map(({ file }) => file))];
  const inFile = (/** @type {Spec[]} */ list, /** @type {string} */ file) =>
    list.filter((spec) => spec.file === file).length;
  const plain = (/** @type {string} */ text) => text.replace(/[|<>]/g, "\\$&").replace(/\s+/g, " ");
  return `# tfjs-core's own tests on the ONNX Runtime backend

Written by \`npm run test:jasmine -- --write\`: ${Object.entries(versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(", ")}.

**${specs.length} tests are run. ${out.length} are left out, because what they use cannot exist here. Of the other ${rest},
${rest - failed.length} pass (${share} %) and ${failed.length} fail.**

Suites that tfjs-core declares only for backends with synchronous reads (\`SYNC_BACKEND_ENVS\`: \`dataSync\`, \`arraySync\`,
\`toString\`, the profiler's and debug mode's) are not declared here and not counted. Files about storage, platforms and
helpers without tensors are not run: no backend has a part in them.

## Left out

| why | tests |
|---|---|
${byReason.map((reason) => `| ${plain(reason)} | ${count(reason)} |`).join("\n")}

## Failing

| file | test | why |
|---|---|---|
${failed.map((spec) => `| ${spec.file} | ${plain(spec.name)} | ${plain(reasonOf(spec) ?? "")} |`).join("\n")}

## By file

| file | passed | left out | failing |
|---|---|---|---|
${filesOfTests
  .map((file) => {
    const [all, without, wrong] = [specs, out, failed].map((list) => inFile(list, file));
    return `| ${file} | ${(all ?? 0) - (without ?? 0) - (wrong ?? 0)} | ${without} | ${wrong} |`;
  })
  .join("\n")}
`;
}
