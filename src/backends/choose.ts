import * as tf from "@tensorflow/tfjs-core";
import { InputError } from "../errors.ts";

/** What may run the models, by the name of our option and of tfjs's own. */
const backends = {
  wasm: { tfjsName: "wasm", load: () => import("@tensorflow/tfjs-backend-wasm") },
  cpu: { tfjsName: "cpu", load: () => import("@tensorflow/tfjs-backend-cpu") },
} satisfies Record<string, { tfjsName: string; load: () => Promise<unknown> }>;

export type BackendName = keyof typeof backends;

export const backendNames = Object.keys(backends) as BackendName[];

/** Loads a tfjs backend and makes it the active one. @throws InputError with the reason where it can't be had. */
export async function useBackend(name: BackendName): Promise<void> {
  const { tfjsName, load } = backends[name];
  try {
    await load();
    if (await tf.setBackend(tfjsName)) return;
  } catch (cause) {
    throw new InputError(`The backend "${name}" can't be loaded: ${(cause as Error).message}`, { cause });
  }
  throw new InputError(`The backend "${name}" does not work on this machine.`);
}
