import { describe, expect, it } from "vitest";
import { drawScene, isHeldOut, labelsOf, randomScene } from "../../src/scenes/index.ts";
import { ScenesDataset } from "../../src/training/index.ts";

describe("scenes to train on", () => {
  const data = new ScenesDataset({
    seed: 4,
    count: 300,
    sizes: [
      [64, 64],
      [80, 48],
      [48, 80],
    ],
  });

  it("are drawn in the size that is asked for, none cropped", async () => {
    const { picture, original, crop, captions, labels } = await data.read(1, ...data.sizeOf(1));
    const scene = randomScene(4, 1);
    expect(picture).toEqual(drawScene(scene, 80, 48));
    expect([original, crop, labels]).toEqual([[80, 48], [0, 0], labelsOf(scene)]);
    expect(captions).toHaveLength(2);
    expect((await data.read(1, 32, 40)).picture).toMatchObject({ width: 32, height: 40 });
  });

  it("have sizes in turn, and names of mascots as labels", async () => {
    expect([0, 1, 2, 3].map((index) => data.sizeOf(index))).toEqual([
      [64, 64],
      [80, 48],
      [48, 80],
      [64, 64],
    ]);
    const examples = await Promise.all(Array.from({ length: data.length }, (_, index) => data.read(index, 32, 32)));
    expect(new Set(examples.flatMap(({ labels }) => labels)).size).toBe(5);
  });

  it("are never of a held-out combination", () => {
    for (let index = 0; index < data.length; index++) {
      const { subject, place } = randomScene(4, index);
      if ("object" in subject) expect(isHeldOut(subject.object, subject.colour, place)).toBe(false);
    }
  });

  it("must be some", () => {
    expect(() => new ScenesDataset({ seed: 0, count: 0 })).toThrow("0 scenes");
    expect(() => new ScenesDataset({ seed: 0, count: 1, sizes: [] })).toThrow("at least one size");
  });
});
