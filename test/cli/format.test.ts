import { describe, expect, it } from "vitest";
import { bytes, columns, cut, duration, grouped, harmless, scaled, table } from "../../src/cli/format.ts";

describe("numbers for people", () => {
  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1,000"],
    [859520964, "859,520,964"],
  ])("%d is grouped as %s", (count, text) => expect(grouped(count)).toBe(text));

  it.each([
    [0, "0"],
    [999, "999"],
    [1000, "1.00 k"],
    [9994, "9.99 k"],
    [9999, "10.0 k"],
    [99_960, "100 k"],
    [999_700, "1.00 M"],
    [859_520_964, "860 M"],
    [6.76e12, "6.76 T"],
  ])("%d is scaled to %s", (count, text) => expect(scaled(count)).toBe(text));

  it.each([
    [12, "12 B"],
    [4_294_967_296, "4.29 GB"],
  ])("%d is %s", (count, text) => expect(bytes(count)).toBe(text));

  it.each([
    [400, "0 s"],
    [59_400, "59 s"],
    [75_000, "1 min 15 s"],
    [4_020_000, "1 h 7 min"],
  ])("%d ms is %s", (time, text) => expect(duration(time)).toBe(text));
});

describe("text in columns", () => {
  it("counts wide characters twice", () => {
    expect(columns("絵藍ミツア 🐱")).toBe(13);
    expect(columns("ｱｲｳ abc")).toBe(7); // half-width kana
  });

  it("is cut where it ends", () => {
    expect(cut("abcdef", 6)).toBe("abcdef");
    expect(cut("abcdef", 5)).toBe("abcd…");
    expect(cut("絵藍ミツア", 6)).toBe("絵藍…");
  });

  it("stands below each other", () => {
    const rows = [
      ["a", "絵", "1"],
      ["bcd", "e", "234"],
    ];
    expect(table(rows, ["left", "left", "right"])).toEqual(["a    絵    1", "bcd  e   234"]);
  });
});

describe("text of others", () => {
  it("can't steer the terminal, nor turn the order of letters", () => {
    expect(harmless("\u001b[31mred\u202egnp.exe\u0007\u009b2J")).toBe("\\u001b[31mred\\u202egnp.exe\\u0007\\u009b2J");
    expect(harmless("絵藍ミツア\n\t🐱 é")).toBe("絵藍ミツア\n\t🐱 é");
  });
});
