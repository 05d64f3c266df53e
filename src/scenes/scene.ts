import { Dice } from "./dice.ts";
import { isHeldOut } from "./held-out.ts";
import {
  type ColourName,
  type Count,
  colours,
  type MascotName,
  mascots,
  namesOf,
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

/** An object in one colour, or a mascot, which has its own. */
export type Subject = { readonly object: ObjectName; readonly colour: ColourName } | { readonly mascot: MascotName };

/** What a picture shows. `drawScene` draws it, `captionsOf` says it. */
export interface Scene {
  readonly subject: Subject;
  readonly place: PlaceName;
  readonly time: TimeName;
  /** Two or three stand in a row across the picture, and then `position` is "centre". Three are small. */
  readonly count: Count;
  readonly position: PositionName;
  readonly size: SizeName;
  readonly style: StyleName;
  /** How far it is moved to the right, downwards, and how much larger it is: each −1 to 1 of what is allowed. */
  readonly jitter: readonly [x: number, y: number, scale: number];
}

/** Which of the two kinds of scenes: those to learn from, or those that are kept to ask for. */
export type Part = "training" | "held-out";

/** How many of the scenes to learn from show a mascot, where nobody says otherwise. */
export const usualMascots = 0.12;

/**
 * The scene of this number. The same seed and number give the same scene, and no other needs to be made for it.
 * @param share of the scenes to learn from that show a mascot
 */
export function randomScene(seed: number, index: number, part: Part = "training", share = usualMascots): Scene {
  const dice = new Dice(seed, index);
  return part === "training" ? trainingScene(dice, share) : heldOutScene(dice);
}

function trainingScene(dice: Dice, share: number): Scene {
  if (dice.chance(share)) {
    return { subject: { mascot: dice.pick(namesOf(mascots)) }, place: dice.pick(namesOf(places)), ...rest(dice, 1) };
  }
  const count = countFrom(dice.roll());
  return { ...thing(dice, "training"), ...rest(dice, count) };
}

function heldOutScene(dice: Dice): Scene {
  return { ...thing(dice, "held-out"), ...rest(dice, 1) };
}

function countFrom(roll: number): Count {
  if (roll < 0.76) return 1;
  return roll < 0.9 ? 2 : 3;
}

/** An object, a colour and a place of that part: drawn anew until they are. */
function thing(dice: Dice, part: Part): Pick<Scene, "subject" | "place"> {
  for (;;) {
    const object = dice.pick(namesOf(objects));
    const colour = dice.pick(namesOf(colours));
    const place = dice.pick(namesOf(places));
    if (isHeldOut(object, colour, place) === (part === "held-out")) return { subject: { object, colour }, place };
  }
}

function rest(dice: Dice, count: Count): Omit<Scene, "subject" | "place"> {
  const position = dice.pick(namesOf(positions));
  const size = dice.pick(namesOf(sizes));
  return {
    time: dice.pick(namesOf(times)),
    count,
    position: count === 1 ? position : "centre",
    size: count === 3 ? "small" : size,
    style: dice.pick(namesOf(styles)),
    jitter: [dice.between(-1, 1), dice.between(-1, 1), dice.between(-1, 1)],
  };
}
