export { captionsOf, type HeldOutPrompt, heldOutPrompts, labelsOf } from "./captions.ts";
export { drawScene, smallestSide } from "./draw.ts";
export { isHeldOut } from "./held-out.ts";
export { agreement, type Judged, type Judgement, judge } from "./judge.ts";
export { type Part, randomScene, type Scene, type Subject, usualMascots } from "./scene.ts";
export * as vocabulary from "./vocabulary.ts";
