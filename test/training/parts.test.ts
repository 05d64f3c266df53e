import { describe, expect, test } from "vitest";
import { parameters, ResnetBlock, TextEmbeddings, WindowAttention } from "../../src/layers/index.ts";
import { Draws, dropCaptions, initialize, learningRateAt } from "../../src/training/index.ts";

describe("the learning rate", () => {
  const rate = { learningRate: 0.1, warmUp: 4, steps: 12 };

  test("rises in a straight line, and stays", () => {
    const rates = [0, 1, 2, 3, 4, 11].map((step) => learningRateAt(step, { ...rate, end: "constant" }));
    expect(rates).toEqual([0.025, 0.05, 0.1 * 0.75, 0.1, 0.1, 0.1].map((value) => expect.closeTo(value, 10)));
  });

  test("falls along half a cosine", () => {
    const rates = [3, 4, 8, 12].map((step) => learningRateAt(step, { ...rate, end: "cosine" }));
    expect(rates).toEqual([0.1, 0.1, 0.05, 0].map((value) => expect.closeTo(value, 10)));
  });
});

test("captions are dropped as often as is asked, and the same ones for the same draws", () => {
  const captions = Array.from({ length: 1000 }, (_, i) => `${i}`);
  expect(dropCaptions(captions, 0, new Draws(1, 2))).toEqual(captions);
  expect(dropCaptions(captions, 1, new Draws(1, 2))).toEqual(captions.map(() => ""));
  const some = dropCaptions(captions, 0.1, new Draws(1, 2));
  expect(some).toEqual(dropCaptions(captions, 0.1, new Draws(1, 2)));
  const dropped = some.filter((caption) => caption === "").length;
  expect(dropped).toBeGreaterThan(70);
  expect(dropped).toBeLessThan(130);
});

describe("first weights", () => {
  async function statistics(name: string, layer: ResnetBlock | TextEmbeddings | WindowAttention) {
    initialize(layer, 5);
    const values = [...(await new Map(parameters(layer)).get(name)!.value.data())];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
    return { largest: Math.max(...values.map(Math.abs)), mean, deviation };
  }
  const resnet = () => new ResnetBlock(16, 32, { tembChannels: 64, groups: 4, eps: 1e-5 });

  test.each([
    ["conv1.weight", 1 / Math.sqrt(16 * 9)],
    ["conv1.bias", 1 / Math.sqrt(16 * 9)],
    ["time_emb_proj.weight", 1 / 8],
    ["time_emb_proj.bias", 1 / 8],
  ])("%s is uniform, as far as torch's", async (name, bound) => {
    const { largest, mean, deviation } = await statistics(name, resnet());
    expect(largest).toBeLessThanOrEqual(bound);
    expect(largest).toBeGreaterThan(0.85 * bound);
    expect(Math.abs(mean)).toBeLessThan(0.25 * bound);
    expect(deviation / bound).toBeCloseTo(1 / Math.sqrt(3), 0);
  });

  test("norms leave what they are given as it is", async () => {
    expect(await statistics("norm2.weight", resnet())).toEqual({ largest: 1, mean: 1, deviation: 0 });
    expect(await statistics("norm2.bias", resnet())).toEqual({ largest: 0, mean: 0, deviation: 0 });
  });

  test("tables are normal", async () => {
    const embeddings = new TextEmbeddings({ vocabSize: 100, positions: 8, channels: 32 });
    expect((await statistics("token_embedding.weight", embeddings)).deviation).toBeCloseTo(0.02, 3);
    const attention = new WindowAttention(8, { heads: 4, window: 8, qkvBias: true });
    expect((await statistics("self.relative_position_bias_table", attention)).deviation).toBeCloseTo(0.02, 3);
  });

  test("follow from the seed", async () => {
    const weightOf = async (seed: number) => {
      const layer = resnet();
      initialize(layer, seed);
      return [...(await layer.conv1.weight.value.data())];
    };
    expect(await weightOf(1)).toEqual(await weightOf(1));
    expect(await weightOf(1)).not.toEqual(await weightOf(2));
  });
});
