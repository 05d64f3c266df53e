import type { TaskKind } from "../kind.ts";
import { unetTask } from "./unet.ts";

/** What can be trained, by the name that a configuration file gives it. */
export const taskKinds: Readonly<Record<string, TaskKind>> = { unet: unetTask };
