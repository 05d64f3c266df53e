// Sets up jasmine before the first test is declared, and notes in which file each test was declared.
import jasmineCore from "jasmine-core";

const jasmine = jasmineCore.boot(jasmineCore);
export const env = jasmine.getEnv();
env.configure({ random: false });

/** By the test's id. @type {Map<string, string>} */
export const files = new Map();
let current = "";

const scope = /** @type {Record<string, any>} */ (globalThis);
Object.assign(scope, jasmineCore.interface(jasmine, env), { jasmine });
scope.jasmineFile = (/** @type {string} */ file) => {
  current = file;
};
for (const name of ["it", "fit", "xit"]) {
  const declare = scope[name];
  scope[name] = (/** @type {unknown[]} */ ...args) => {
    const spec = declare(...args);
    files.set(spec.id, current);
    return spec;
  };
}
