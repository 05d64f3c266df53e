// The modules that hold tfjs's gradients import one another without file endings, which bundlers find and Node does not.
const endings = `export async function resolve(specifier, context, next) {
  const isBare = specifier.startsWith(".") && !specifier.endsWith(".js");
  return next(isBare && context.parentURL?.includes("/tfjs-core/dist/") ? specifier + ".js" : specifier, context);
}`;

let registered: Promise<unknown> | undefined;

/** Gives tfjs the gradients of its operations, once: none of its bundles that Node can load has them. */
export async function registerGradients(): Promise<void> {
  registered ??= register();
  await registered;
}

function register(): Promise<unknown> {
  const node = globalThis.process?.getBuiltinModule?.("node:module");
  node?.register(`data:text/javascript,${encodeURIComponent(endings)}`);
  return import("@tensorflow/tfjs-core/dist/register_all_gradients.js");
}
