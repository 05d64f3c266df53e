/** The handlers that Emscripten's code adds, written without spaces. */
const handlers = {
  uncaughtException: "function(ex){if(!(exinstanceofExitStatus)){throwex}}",
  unhandledRejection: "function(reason){throwreason}",
};

/**
 * Loads code that Emscripten compiled (SentencePiece, tfjs's wasm backend) without the two handlers that it adds to the
 * process, which rethrow whatever goes wrong anywhere in it. They are told by their source, so that a handler that someone
 * else adds meanwhile stays.
 */
export async function withoutItsHandlers<T>(load: () => Promise<T>): Promise<T> {
  const { process } = globalThis;
  if (!process?.rawListeners) return load(); // a browser
  const before = Object.keys(handlers).flatMap((event) => process.rawListeners(event));
  try {
    return await load();
  } finally {
    for (const [event, source] of Object.entries(handlers)) {
      const added = process.rawListeners(event).filter((listener) => !before.includes(listener));
      for (const listener of added) {
        if (String(listener).replace(/[\s;]/g, "") === source) process.off(event, listener as () => void);
      }
    }
  }
}
