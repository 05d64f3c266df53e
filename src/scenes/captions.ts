import { Dice } from "./dice.ts";
import { randomScene, type Scene } from "./scene.ts";
import { colours, mascots, objects, places, positions, sizes, styles, times } from "./vocabulary.ts";

/** What a caption may say beside what there is and how many of it. */
type Attribute = "colour" | "place" | "time" | "position" | "size" | "style";

/** The words for one scene. What isn't said is an empty string. */
type Words = Readonly<Record<Attribute | "subject", string>> & { readonly scene: Scene };

/** A scene in Japanese and in English. Half of the captions say all of it, but seldom its style; the others leave things out. */
export function captionsOf(scene: Scene, seed: number, index: number): [japanese: string, english: string] {
  const dice = new Dice(seed ^ 0x2545f491, index); // other numbers than those that made the scene
  return [japanese(scene, named(dice, scene), dice), english(scene, named(dice, scene), dice)];
}

/** The names of the characters in a scene, as a classifier knows them. */
export function labelsOf({ subject }: Scene): string[] {
  return "mascot" in subject ? [mascots[subject.mascot].ja[0]] : [];
}

/** A prompt for a combination that is never trained on, with the scene that it asks for. */
export interface HeldOutPrompt {
  readonly prompt: string;
  readonly language: "ja" | "en";
  readonly scene: Scene;
}

/** Prompts for one object each, that say its colour, size and position, the place and the time; Japanese and English in turn. */
export function heldOutPrompts(count: number, seed: number): HeldOutPrompt[] {
  return Array.from({ length: count }, (_, index) => {
    const scene = randomScene(seed, index, "held-out");
    const dice = new Dice(seed ^ 0x2545f491, index);
    if (index % 2 === 0) return { prompt: japanese(scene, everything, dice), language: "ja", scene };
    return { prompt: english(scene, everything, dice), language: "en", scene };
  });
}

type Named = ReadonlySet<Attribute>;

const everything: Named = new Set<Attribute>(["colour", "place", "time", "position", "size"]);

/** How often a caption that isn't complete says something. */
const shares: Readonly<Record<Attribute, number>> = {
  colour: 0.85,
  place: 0.75,
  time: 0.5,
  position: 0.5,
  size: 0.5,
  style: 0.35,
};

function named(dice: Dice, { count }: Scene): Named {
  const isComplete = dice.chance(0.5);
  const attributes = (Object.keys(shares) as Attribute[]).filter((attribute) => {
    const isDrawn = dice.chance(shares[attribute]);
    return isDrawn || (isComplete && attribute !== "style");
  });
  return new Set(attributes.filter((attribute) => attribute !== "position" || count === 1));
}

function japanese(scene: Scene, named: Named, dice: Dice): string {
  const words = wordsFor("ja", scene, named, dice);
  const { place, time, position, style } = words;
  const noun = japaneseNoun(words, dice);
  const where = [time, place].filter(Boolean).join("の");
  const sentences = [
    () => [where && `${where}に${noun}`, !where && noun, position, style],
    () => [where && `${noun}と${where}`, !where && noun, position, style],
    () => [position ? `${position}に${noun}` : noun, where, style],
    () => [`${[where, position].filter(Boolean).join("の")}に${noun}`.replace(/^に/, ""), style],
    () => dice.shuffle([noun, place, time, position, style]),
  ];
  return dice.pick(sentences)().filter(Boolean).join("、");
}

/** 大きな赤い船, 赤い大きな船, 赤い船2隻 or 2隻の赤い船. */
function japaneseNoun({ scene, colour, size, subject }: Words, dice: Dice): string {
  const noun = (dice.chance(0.8) ? [size, colour, subject] : [colour, size, subject]).join("");
  if (scene.count === 1 || !("object" in scene.subject)) return noun;
  const number = `${scene.count}${objects[scene.subject.object].counter}`;
  return dice.chance(0.5) ? `${noun}${number}` : `${number}の${noun}`;
}

function english(scene: Scene, named: Named, dice: Dice): string {
  const words = wordsFor("en", scene, named, dice);
  const { place, time, position, style } = words;
  const noun = englishNoun(words, dice);
  const there = [noun, place && `${places[scene.place].at} ${place}`, time && times[scene.time].when].filter(Boolean);
  const where = [time, place].filter(Boolean).join(" ");
  const sentences = [
    () => [[noun, position].filter(Boolean).join(" "), where, style],
    () => [[...there, position].filter(Boolean).join(" "), style],
    () => [[where && `${where} with`, noun, position].filter(Boolean).join(" "), style],
    () => [position && `${position} ${noun}`, !position && noun, where, style],
    () => dice.shuffle([noun, place, time, position, style]),
  ];
  return dice.pick(sentences)().filter(Boolean).join(", ");
}

/** A big red boat, two big red boats, or a mascot's name. */
function englishNoun({ scene, colour, size, subject }: Words, dice: Dice): string {
  const noun = [size, colour, subject].filter(Boolean).join(" ");
  if ("mascot" in scene.subject) return noun;
  if (scene.count > 1) return `${["two", "three"][scene.count - 2]} ${noun}`;
  return dice.chance(0.2) ? noun : `${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}

/** The words for what is named, each the usual one three times of four. */
function wordsFor(language: "ja" | "en", scene: Scene, named: Named, dice: Dice): Words {
  const choose = (entry: Readonly<Record<"ja" | "en", readonly string[]>>) =>
    dice.chance(0.75) ? entry[language][0]! : dice.pick(entry[language]);
  const { subject, place, time, position, size, style } = scene;
  const colour = "colour" in subject ? choose(colours[subject.colour]) : "";
  const all = {
    colour,
    place: choose(places[place]),
    time: choose(times[time]),
    position: choose(positions[position]),
    size: choose(sizes[size]),
    style: choose(styles[style]),
  };
  const entries = Object.entries(all).map(([key, word]) => [key, named.has(key as Attribute) ? word : ""]);
  return { scene, subject: subjectWord(), ...(Object.fromEntries(entries) as Record<Attribute, string>) };

  function subjectWord(): string {
    if ("mascot" in subject) return choose(mascots[subject.mascot]);
    const object = objects[subject.object];
    return language === "en" && scene.count > 1 ? object.many : choose(object);
  }
}
