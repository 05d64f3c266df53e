import { describe, expect, it } from "vitest";
import type { Picture } from "../../src/image/index.ts";
import { lossPlot } from "../../src/training/loss-plot.ts";
import { pictureGrid } from "../../src/training/picture-grid.ts";
import { MovingAverage, smoothed } from "../../src/training/smoothed.ts";

function pixel({ width, data }: Picture, x: number, y: number): number[] {
  return [...data.slice(3 * (y * width + x), 3 * (y * width + x) + 3)];
}

/** The rows, of a column, in which the curve is. */
function curveAt(plot: Picture, x: number): number[] {
  return Array.from({ length: plot.height }, (_, y) => y).filter((y) => pixel(plot, x, y).join() === "20,80,170");
}

describe("the plot of losses", () => {
  const points = (loss: (step: number) => number) =>
    Array.from({ length: 100 }, (_, i) => ({ step: i + 1, loss: loss(i + 1), stage: i < 50 ? 1 : 2 }));

  it("is a straight line where losses fall by the same factor at each step", () => {
    const plot = lossPlot(points((step) => 2 * 0.95 ** step));
    const [left, middle, right] = [100, 470, 840].map((x) => curveAt(plot, x).at(0)!) as [number, number, number];
    expect(left).toBeLessThan(middle);
    expect(Math.abs((left + right) / 2 - middle)).toBeLessThan(2);
  });

  it("has an axis without a logarithm where losses are not all over 0", () => {
    const plot = lossPlot(points((step) => 1 - step / 50));
    const [left, middle, right] = [100, 470, 840].map((x) => curveAt(plot, x).at(0)!) as [number, number, number];
    expect(Math.abs((left + right) / 2 - middle)).toBeLessThan(2);
  });

  it("shows where a stage ends", () => {
    const plot = lossPlot(points(() => 1));
    const border = [200, 120, 60].join();
    const columns = Array.from({ length: plot.width }, (_, x) => x).filter((x) => pixel(plot, x, 60).join() === border);
    expect(columns).toEqual([70 + Math.round(0.51 * 790)]);
  });

  it.each([0, 1, 2])("takes %d points", (count) => {
    expect(lossPlot(points(() => 0.3).slice(0, count))).toMatchObject({ width: 880, height: 480 });
  });
});

it("a grid has pictures of several sizes in rows, on white", () => {
  const filled = (width: number, height: number, value: number) => {
    return { width, height, data: new Uint8Array(width * height * 3).fill(value) };
  };
  const grid = pictureGrid([filled(4, 4, 10), filled(6, 2, 20), filled(4, 4, 30)], 2);
  expect([grid.width, grid.height]).toEqual([2 + 2 * 8, 2 + 2 * 6]);
  expect(pixel(grid, 2, 2)).toEqual([10, 10, 10]);
  expect(pixel(grid, 10, 2)).toEqual([20, 20, 20]);
  expect(pixel(grid, 10, 5)).toEqual([255, 255, 255]);
  expect(pixel(grid, 5, 11)).toEqual([30, 30, 30]);
});

describe("means", () => {
  it("that move count the first values as much as there are of them", () => {
    const average = new MovingAverage();
    expect(average.add(3)).toBeCloseTo(3, 12);
    expect(average.add(5)).toBeCloseTo((0.95 * 3 + 5) / 1.95, 12);
  });

  it("around values reach as far to both sides", () => {
    const line = Array.from({ length: 200 }, (_, i) => i);
    for (const [i, value] of smoothed(line).entries()) expect(value).toBeCloseTo(i, 9);
    expect(smoothed([1, 9, 2])).toEqual([1, 4, 2]);
  });
});
