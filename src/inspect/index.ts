export {
  type Arguments,
  type Comparison,
  compareActivations,
  drawArguments,
  type LayerError,
  type Recording,
  readArguments,
  recordActivations,
  saveRecording,
} from "./activations.ts";
export { type Description, describe, type ShapeInput } from "./describe.ts";
export { describeSystem } from "./describe-system.ts";
export { openSystem } from "./open.ts";
export { type Runnable, runnable, type Size, type Surroundings } from "./runnable.ts";
export { presets, type System } from "./systems.ts";
