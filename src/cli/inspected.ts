import type { BackendName, BackendOptions } from "../backends/index.ts";
import type { Runnable } from "../inspect/runnable.ts";
import type { System } from "../inspect/systems.ts";
import type { Progress } from "./progress.ts";

export interface LoadOptions {
  component: string | undefined;
  backend: BackendName;
  backendOptions: BackendOptions | undefined;
  signal: AbortSignal;
  progress: Progress;
}

export interface Inspected {
  /** Its name in the system. */
  name: string;
  system: System;
  runnable: Runnable;
}

/** Opens a folder, picks one of its models and loads its weights. */
export async function loadModel(
  folder: string,
  { component, backend, backendOptions, signal, progress }: LoadOptions,
): Promise<Inspected> {
  const { InputError } = await import("../errors.ts");
  const { useBackend } = await import("../backends/choose.ts");
  const { openSystem } = await import("../inspect/open.ts");
  const { runnable } = await import("../inspect/runnable.ts");
  const { surroundingsIn } = await import("../inspect/systems.ts");
  const { loadWeights, openWeights } = await import("../weights/index.ts");

  const system = await openSystem(folder);
  const names = Object.keys(system.models);
  const name = component ?? (names.length === 1 ? names[0]! : undefined);
  if (name === undefined) throw new InputError(`Which model? Give --component with one of ${names.join(", ")}.`);
  const model = Object.hasOwn(system.models, name) ? system.models[name] : undefined;
  if (!model) throw new InputError(`${folder} has no model "${name}". It has ${names.join(", ")}.`);
  const path = system.folders[name];
  if (!path) throw new InputError(`The preset ${folder} has no weights, so it can't be run: give a model's folder.`);

  await useBackend(backend, backendOptions);
  const source = await openWeights(path);
  try {
    await loadWeights(model, source, {
      signal,
      onProgress: (done, total) => progress.update(`reading ${name}`, done, total),
    });
  } finally {
    await source.close();
  }
  return { name, system, runnable: runnable(model, surroundingsIn(system)) };
}
