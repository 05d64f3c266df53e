import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { InputError } from "../../src/errors.ts";
import {
  captionsOf,
  drawScene,
  heldOutPrompts,
  isHeldOut,
  labelsOf,
  randomScene,
  type Scene,
  vocabulary,
} from "../../src/scenes/index.ts";
import { namesOf } from "../../src/scenes/vocabulary.ts";

const { colours, mascots, objects, places, positions, sizes, styles, times } = vocabulary;
const scenes = Array.from({ length: 2000 }, (_, index) => randomScene(1, index));

describe("a random scene", () => {
  it("is the same for the same seed and number, and another for others", () => {
    expect(randomScene(1, 1234)).toEqual(scenes[1234]);
    expect(randomScene(2, 1234)).not.toEqual(scenes[1234]);
    expect(new Set(scenes.map((scene) => JSON.stringify(scene))).size).toBe(scenes.length);
  });

  it("has everything that there is, about as often", () => {
    const shown = (find: (scene: Scene) => string | undefined) => new Set(scenes.map(find));
    const things = scenes.flatMap(({ subject }) => ("object" in subject ? [subject] : []));
    expect(new Set(things.map(({ object }) => object))).toEqual(new Set(namesOf(objects)));
    expect(new Set(things.map(({ colour }) => colour))).toEqual(new Set(namesOf(colours)));
    expect(shown(({ place }) => place)).toEqual(new Set(namesOf(places)));
    expect(shown(({ style }) => style)).toEqual(new Set(namesOf(styles)));
    expect(new Set(scenes.flatMap(labelsOf))).toEqual(new Set(namesOf(mascots).map((name) => mascots[name].ja[0])));
    for (const time of namesOf(times)) {
      expect(scenes.filter((scene) => scene.time === time).length / scenes.length).toBeCloseTo(1 / 3, 1);
    }
  });

  it("is drawn to the same pixels everywhere", () => {
    const hash = createHash("sha256");
    for (const [index, scene] of scenes.slice(0, 60).entries()) {
      const [width, height] = (
        [
          [64, 64],
          [80, 48],
          [48, 80],
          [32, 32],
        ] as const
      )[index % 4]!;
      hash.update(drawScene(scene, width, height).data);
    }
    expect(hash.digest("hex").slice(0, 16)).toBe("d7fc774e59c4efbe");
  });

  it("has a size that shows it", () => {
    expect(() => drawScene(scenes[0]!, 64, 31)).toThrow(InputError);
    expect(() => drawScene(scenes[0]!, 64.5)).toThrow("64.5×64.5");
  });
});

describe("held-out combinations", () => {
  it("never occur in training", () => {
    for (const { subject, place } of scenes) {
      if ("object" in subject) expect(isHeldOut(subject.object, subject.colour, place)).toBe(false);
    }
  });

  it("are a tenth of all, and leave every two of object, colour and place together", () => {
    const all = namesOf(objects).flatMap((object) =>
      namesOf(colours).flatMap((colour) => namesOf(places).map((place) => [object, colour, place] as const)),
    );
    const trained = all.filter((combination) => !isHeldOut(...combination));
    expect([all.length, all.length - trained.length]).toEqual([560, 56]);
    const pairs = (i: number, j: number) =>
      new Set(trained.map((combination) => `${combination[i]} ${combination[j]}`));
    expect([pairs(0, 1).size, pairs(0, 2).size, pairs(1, 2).size]).toEqual([80, 70, 56]);
  });

  it("are asked for in full, in Japanese and English in turn", () => {
    const prompts = heldOutPrompts(200, 3);
    expect(prompts.slice(0, 20)).toEqual(heldOutPrompts(20, 3));
    for (const [index, { prompt, language, scene }] of prompts.entries()) {
      expect(language).toBe(index % 2 === 0 ? "ja" : "en");
      expect(scene.count).toBe(1);
      if (!("object" in scene.subject)) throw new Error("a mascot");
      const { object, colour } = scene.subject;
      expect(isHeldOut(object, colour, scene.place)).toBe(true);
      const { place, position, size, time } = scene;
      for (const entry of [objects[object], colours[colour], places[place], positions[position], sizes[size]]) {
        expect(
          entry[language].some((word) => prompt.includes(word)),
          `${prompt}: ${entry.en[0]}`,
        ).toBe(true);
      }
      expect(
        [times[time].when, ...times[time][language]].some((word) => prompt.includes(word)),
        prompt,
      ).toBe(true);
    }
  });
});

describe("captions", () => {
  const said = scenes.map((scene, index) => ({ scene, captions: captionsOf(scene, 1, index) }));

  it("are the same for the same scene", () => {
    expect(captionsOf(scenes[7]!, 1, 7)).toEqual(said[7]!.captions);
  });

  it("say nothing that the scene is not", () => {
    const wrong = said.flatMap(({ scene, captions }) => {
      const { subject, place, time, size, style, position, count } = scene;
      if ("mascot" in subject) return []; // its names hold words of objects
      const isCounted = count === 1 || captions[1].includes(count === 2 ? "two " : "three ");
      return [
        ...foreignWords(captions, objects, subject.object),
        ...foreignWords(captions, colours, subject.colour),
        ...foreignWords(captions, places, place),
        ...foreignWords(captions, times, time),
        ...foreignWords(captions, sizes, size),
        ...foreignWords(captions, styles, style),
        ...foreignWords(captions, positions, count === 1 ? position : ""),
        ...(isCounted ? [] : [`${captions[1]}: not ${count}`]),
      ];
    });
    expect(wrong).toEqual([]);
  });

  it("name mascots, and are short", () => {
    for (const { scene, captions } of said) {
      const { subject } = scene;
      if ("mascot" in subject) {
        expect(mascots[subject.mascot].ja.some((name) => captions[0].includes(name))).toBe(true);
        expect(mascots[subject.mascot].en.some((name) => captions[1].includes(name))).toBe(true);
      }
      expect(captions[0].length).toBeLessThan(45);
      expect(captions[1].length).toBeLessThan(95);
    }
  });

  it("say all of a scene half of the time", () => {
    const complete = said.filter(({ scene: { subject, place, position, size, time, count }, captions: [japanese] }) => {
      if (!("object" in subject) || count > 1) return false;
      const entries = [colours[subject.colour], places[place], positions[position], sizes[size], times[time]];
      return entries.every(({ ja }) => ja.some((word) => japanese.includes(word)));
    });
    const single = said.filter(({ scene: { subject, count } }) => "object" in subject && count === 1);
    expect(complete.length / single.length).toBeGreaterThan(0.45);
    expect(complete.length / single.length).toBeLessThan(0.65);
  });
});

type Table = Readonly<Record<string, { ja: readonly string[]; en: readonly string[] }>>;

/** Words of a table that captions hold, but for those of one entry. */
function foreignWords([japanese, english]: readonly [string, string], table: Table, name: string): string[] {
  const others = Object.entries(table).filter(([key]) => key !== name);
  return others.flatMap(([, { ja, en }]) => [
    ...ja.filter((word) => japanese.includes(word)).map((word) => `${japanese}: ${word}`),
    ...en.filter((word) => new RegExp(`\\b${word}\\b`).test(english)).map((word) => `${english}: ${word}`),
  ]);
}
