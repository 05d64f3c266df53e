import { fieldsOf } from "../config.ts";
import { ConfigError, InputError } from "../errors.ts";
import { DdimScheduler } from "./ddim.ts";
import { ddimConfigFrom } from "./ddim-config.ts";
import type { Scheduler } from "./scheduler.ts";

export { DdimSampler, DdimScheduler } from "./ddim.ts";
export { type DdimConfig, ddimConfigFrom } from "./ddim-config.ts";
export type { NoiseSchedule } from "./noise-schedule.ts";
export { type Sampler, type Scheduler, type Step, startStep } from "./scheduler.ts";
export type { Spacing, TimestepSpacing } from "./timesteps.ts";

interface Kind {
  /** diffusers' class, as files name it. */
  className: string;
  open(json: unknown, where: string): Scheduler;
}

const kinds: ReadonlyMap<string, Kind> = new Map([
  ["ddim", { className: "DDIMScheduler", open: (json, where) => new DdimScheduler(ddimConfigFrom(json, where)) }],
]);

/** The names that `openScheduler` knows. */
export const schedulerNames: readonly string[] = [...kinds.keys()];

/**
 * The scheduler of a parsed `scheduler_config.json`: that of its `_class_name`, or the one named, with the file's
 * settings.
 * @param where the file's path, for messages
 * @throws ConfigError where the class or a setting is not supported, InputError where no scheduler has the name
 */
export function openScheduler(json: unknown, where: string, name?: string): Scheduler {
  const className = fieldsOf(json, where)._class_name;
  if (name !== undefined) {
    const kind = kinds.get(name);
    if (kind) return kind.open(json, where);
    throw new InputError(
      `There is no scheduler named ${JSON.stringify(name)}: there are ${schedulerNames.join(", ")}.`,
    );
  }
  const kind = [...kinds.values()].find((known) => known.className === className);
  if (kind) return kind.open(json, where);
  const supported = [...kinds].map(([known, { className }]) => `${className} (${known})`).join(", ");
  const named =
    className === undefined ? "missing" : `${JSON.stringify(className).slice(0, 60)}, which is not supported`;
  throw new ConfigError(
    `${where}: the field "_class_name" is ${named}. Supported are ${supported}; one of them can be named ` +
      "instead of the file's.",
  );
}
