import { describe, expect, it } from "vitest";
import { Progress } from "../../src/cli/progress.ts";

/** A stream that remembers, and a clock that goes when it is told. */
function fake({ isTTY, columns = 80 }: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  const stream = { isTTY, columns, write: (text: string) => written.push(text) } as unknown as NodeJS.WriteStream;
  const clock = { now: 0 };
  return { written, clock, progress: (quiet = false) => new Progress({ stream, quiet, now: () => clock.now }) };
}

describe("progress on a terminal", () => {
  it("is a line that is drawn again, with the time left", () => {
    const { written, clock, progress } = fake({ isTTY: true });
    const bar = progress();
    bar.update("denoising", 0, 40);
    clock.now = 10_000;
    bar.update("denoising", 10, 40);
    expect(written.at(-1)).toBe("\r\x1b[Kdenoising ██████░░░░░░░░░░░░░░░░░░ 25% 10/40, 30 s left");
    clock.now = 40_000;
    bar.update("denoising", 40, 40);
    expect(written.at(-1)).toBe("\r\x1b[Kdenoising ████████████████████████ 100% 40/40, took 40 s");
    bar.update("decoding", 0, 1);
    expect(written.slice(-2)).toEqual(["\n", "\r\x1b[Kdecoding ░░░░░░░░░░░░░░░░░░░░░░░░ 0% 0/1"]);
    bar.end();
    bar.end();
    expect(written.filter((text) => text === "\n")).toHaveLength(2);
  });

  it("is not drawn more often than an eye sees", () => {
    const { written, clock, progress } = fake({ isTTY: true });
    const bar = progress();
    for (let i = 0; i <= 1000; i++) {
      clock.now = i;
      bar.update("reading unet", i * 1e6, 1e9);
    }
    expect(written.length).toBeLessThan(20);
    expect(written.at(-1)).toContain("100%, took 1 s"); // bytes are not counted one by one
  });

  it.each([10, 40, 60])("fits into %d columns", (columns) => {
    const { written, progress } = fake({ isTTY: true, columns });
    progress().update("読み込み unet", 3, 40);
    const text = written[0]!.replace("\r\x1b[K", "");
    const width = [...text].reduce((sum, character) => sum + (/[\u3000-\u9fff]/.test(character) ? 2 : 1), 0);
    expect(width).toBeLessThan(columns);
  });
});

describe("progress elsewhere", () => {
  it("is a line for each task, and one every ten seconds", () => {
    const { written, clock, progress } = fake({ isTTY: false });
    const lines = progress();
    for (let step = 0; step <= 40; step++) {
      clock.now = 1000 * step;
      lines.update("denoising", step, 40);
    }
    lines.update("decoding", 0, 1);
    lines.update("decoding", 1, 1);
    lines.end();
    expect(written).toEqual([
      "denoising …\n",
      "denoising: 25% 10/40, 30 s left\n",
      "denoising: 50% 20/40, 20 s left\n",
      "denoising: 75% 30/40, 10 s left\n",
      "denoising: 100% 40/40, took 40 s\n",
      "decoding …\n",
    ]);
  });
});

it("is silent where it is to be quiet", () => {
  for (const isTTY of [true, false]) {
    const { written, progress } = fake({ isTTY });
    const quiet = progress(true);
    quiet.update("denoising", 1, 2);
    quiet.say("a note");
    quiet.end();
    expect(written).toEqual([]);
  }
});
