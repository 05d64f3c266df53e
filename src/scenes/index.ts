export { captionsOf, type HeldOutPrompt, heldOutPrompts } from "./captions.ts";
export { drawScene, smallestSide } from "./draw.ts";
export { isHeldOut } from "./held-out.ts";
export { type Part, randomScene, type Scene, type Subject } from "./scene.ts";
export {
  type ColourName,
  type Count,
  colours,
  type MascotName,
  mascots,
  type ObjectName,
  objects,
  type PlaceName,
  type PositionName,
  places,
  positions,
  type SizeName,
  type StyleName,
  sizes,
  styles,
  type TimeName,
  times,
} from "./vocabulary.ts";
