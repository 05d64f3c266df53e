import { describe, expect, it } from "vitest";
import type { Picture } from "../../src/image/index.ts";
import { TorchCpuGenerator } from "../../src/random/index.ts";
import {
  agreement,
  drawScene,
  heldOutPrompts,
  type Judgement,
  judge,
  randomScene,
  type Scene,
} from "../../src/scenes/index.ts";

/** How many of each attribute are right, as shares of 1. */
function shares(judged: readonly (readonly [Judgement, Scene])[]): Record<string, number> {
  const counts = new Map<string, { right: number; all: number }>();
  for (const [seen, scene] of judged) {
    for (const [attribute, isRight] of Object.entries(agreement(seen, scene))) {
      const { right, all } = counts.get(attribute) ?? { right: 0, all: 0 };
      counts.set(attribute, { right: right + (isRight ? 1 : 0), all: all + 1 });
    }
  }
  return Object.fromEntries([...counts].map(([attribute, { right, all }]) => [attribute, right / all]));
}

/** Blurred a little and with noise, as from a small autoencoder of 29 dB. */
function worsened({ width, height, data }: Picture, seed: number): Picture {
  const noise = new TorchCpuGenerator(seed).randn(data.length);
  const at = (x: number, y: number, channel: number) =>
    data[(Math.min(height - 1, Math.max(0, y)) * width + Math.min(width - 1, Math.max(0, x))) * 3 + channel]!;
  const worse = Uint8ClampedArray.from(data, (value, i) => {
    const [channel, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    const around = at(x - 1, y, channel) + at(x + 1, y, channel) + at(x, y - 1, channel) + at(x, y + 1, channel);
    return 0.6 * value + 0.1 * around + 8 * noise[i]!;
  });
  return { width, height, data: new Uint8Array(worse) };
}

const uniform = (...colour: readonly number[]): Picture => ({
  width: 64,
  height: 64,
  data: Uint8Array.from({ length: 64 * 64 * 3 }, (_, i) => colour[i % 3]!),
});

describe("the judge of pictures", () => {
  const asked = heldOutPrompts(120, 5).map(({ scene }) => scene);

  it.each([
    [64, 64],
    [80, 48],
    [48, 80],
  ] as const)("is right on worsened pictures of %i × %i", (width, height) => {
    const scenes = Array.from({ length: 60 }, (_, index) => randomScene(7, index));
    const pictures = scenes.map((scene, index) => worsened(drawScene(scene, width, height), index));
    for (const [attribute, share] of Object.entries(shares(pictures.map((one, i) => [judge(one), scenes[i]!])))) {
      expect(share, attribute).toBeGreaterThan(0.98); // one of the 60 may be wrong
    }
  });

  it("finds what was asked for, and in another's picture no more than chance does", () => {
    const seen = asked.map((scene) => judge(drawScene(scene)));
    for (const [attribute, share] of Object.entries(shares(seen.map((one, i) => [one, asked[i]!])))) {
      expect(share, attribute).toBeGreaterThanOrEqual(0.99);
    }
    const shuffled = shares(seen.map((one, i) => [one, asked[(i + 37) % asked.length]!]));
    const chances = { object: 1 / 10, colour: 1 / 8, place: 1 / 7, time: 1 / 3, position: 1 / 3, size: 1 / 2 };
    for (const [attribute, chance] of Object.entries(chances)) {
      expect(shuffled[attribute], attribute).toBeLessThan(chance + 0.13); // three standard deviations of 120
    }
  });

  it("sees nothing in one colour or in noise", () => {
    for (const picture of [uniform(0, 0, 0), uniform(255, 255, 255), uniform(128, 128, 128), uniform(140, 200, 245)]) {
      expect(judge(picture)).toEqual({ count: 0, explained: 0 });
    }
    const noise = new TorchCpuGenerator(1).rand(64 * 64 * 3);
    expect(judge({ width: 64, height: 64, data: Uint8Array.from(noise, (x) => x * 256) }).object).toBeUndefined();
  });

  it("sees a place with nothing in it", () => {
    const empty: Picture = drawScene({ ...asked[0]!, jitter: [1000, 0, 0] });
    expect(judge(empty)).toMatchObject({ place: asked[0]!.place, time: asked[0]!.time, count: 0 });
  });
});
