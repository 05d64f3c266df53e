import { register } from "node:module";

// No bundle of tfjs-core that Node can load registers gradients, and the module that does imports without file endings.
const endings = `export async function resolve(specifier, context, next) {
  return next(specifier.startsWith(".") && !specifier.endsWith(".js") && context.parentURL?.includes("tfjs-core") ? specifier + ".js" : specifier, context);
}`;

/** Gives tfjs the gradients of its operations. */
export async function registerGradients(): Promise<void> {
  register(`data:text/javascript,${encodeURIComponent(endings)}`);
  await import("@tensorflow/tfjs-core/dist/register_all_gradients.js");
}
