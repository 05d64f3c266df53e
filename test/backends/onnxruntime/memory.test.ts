import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, it } from "vitest";
import { compileSources } from "../../helpers/compiled.ts";

let compiled: Awaited<ReturnType<typeof compileSources>>;
beforeAll(async () => {
  compiled = await compileSources();
});
afterAll(() => compiled.remove());

const megabyte = 2 ** 20;

it("the memory of a process does not grow over 1,000 forwards of the tiny UNet", { timeout: 180_000 }, async () => {
  const source = `
    import * as tf from "@tensorflow/tfjs-core";
    import { readFile } from "node:fs/promises";
    import { useBackend } from "./backends/index.js";
    import { runStages } from "./layers/index.js";
    import { UNet, unetConfigFrom } from "./models/index.js";
    import { loadWeights, openWeights } from "./weights/index.js";

    await useBackend("onnxruntime");
    const folder = ${JSON.stringify(resolve("weights/tiny/unet"))};
    const unet = new UNet(unetConfigFrom(JSON.parse(await readFile(folder + "/config.json", "utf8")), folder));
    const weights = await openWeights(folder);
    await loadWeights(unet, weights);
    await weights.close();
    const [latents, context, pooled] = [tf.ones([1, 8, 8, 8]), tf.ones([1, 64, 32]), tf.ones([1, 32])];
    const resident = [];
    const kept = [];
    for (let forward = 1; forward <= 1000; forward++) {
      const y = await runStages(unet.stages(latents, 500, context, { pooled, timeIds: [[64, 64, 0, 0, 64, 64]] }));
      await y.data();
      y.dispose();
      if (forward % 250) continue;
      resident.push(process.memoryUsage.rss());
      const { values, sessions } = await tf.backend().counts();
      kept.push([tf.memory().numTensors, values, sessions]);
    }
    console.log(JSON.stringify({ resident, kept }));`;
  const path = join(compiled.folder, "forwards.js");
  await writeFile(path, source);
  const { stdout } = await promisify(execFile)(process.execPath, [path]);
  const { resident, kept } = JSON.parse(stdout) as { resident: number[]; kept: number[][] };
  expect(kept).toEqual(Array(4).fill(kept[0]));
  // 100 kB of each forward, a hundredth of what it computes with, would be 75 MB after 750 of them.
  expect(resident[3]! - resident[0]!).toBeLessThan(24 * megabyte);
});

it("a result that is freed is gone before the next graph computes", { timeout: 180_000 }, async () => {
  const source = `
    import * as tf from "@tensorflow/tfjs-core";
    import { useBackend } from "./backends/index.js";

    await useBackend("onnxruntime");
    const one = tf.ones([1]);
    await one.data();
    const peak = () => process.resourceUsage().maxRSS * 1024;
    const before = peak();
    for (let graph = 0; graph < 8; graph++) {
      const y = tf.tidy(() => tf.add(tf.fill([32e6], graph), one));
      await tf.backend().flush([y]);
      y.dispose();
    }
    await one.data();
    console.log(peak() - before);`;
  const path = join(compiled.folder, "freed.js");
  await writeFile(path, source);
  const { stdout } = await promisify(execFile)(process.execPath, [path]);
  const result = 4 * 32e6;
  // A graph has two such arrays while it computes: what is filled, and the sum. One that was freed would be a third.
  expect(Number(stdout)).toBeLessThan(2.5 * result);
});
