import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { type ResampleFilter, resampleFilters, resize } from "../../src/image/index.ts";
import { expectedPath } from "../helpers/expected.ts";
import { extremes, noise } from "./pixels.ts";

type Case = [
  source: [number, number],
  target: [number, number],
  made: "noise" | "extremes",
  ResampleFilter,
  hash: string,
];
const cases = JSON.parse(readFileSync(expectedPath("image/resized.json"), "utf8")) as Case[];
const make = { noise, extremes };

test.each(resampleFilters)("%s gives Pillow's bits, growing and shrinking, odd sizes and single pixels", (wanted) => {
  const ofFilter = cases.filter(([, , , filter]) => filter === wanted);
  expect(ofFilter.length).toBeGreaterThan(100);
  const differing = ofFilter.filter(([source, [width, height], made, filter, hash]) => {
    const { data } = resize(make[made](...source), { width, height, filter });
    return createHash("sha256").update(data).digest("hex").slice(0, 16) !== hash;
  });
  expect(differing).toEqual([]);
});

test("a picture whose data is not of its size is refused", () => {
  const picture = { width: 2, height: 2, data: new Uint8Array(9) };
  expect(() => resize(picture, { width: 1, height: 1, filter: "box" })).toThrow("needs 12 numbers");
});
