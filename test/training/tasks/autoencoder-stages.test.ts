import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { Autoencoder } from "../../../src/models/autoencoder.ts";
import { autoencoderConfigFrom } from "../../../src/models/autoencoder-config.ts";
import { AutoencoderTask, autoencoderTask } from "../../../src/training/tasks/autoencoder.ts";

test("a stage trains the whole autoencoder, or what turns latents into pictures alone", async () => {
  const path = "weights/tiny/vae/config.json";
  const task = new AutoencoderTask(
    new Autoencoder(autoencoderConfigFrom(JSON.parse(await readFile(path, "utf8")), path)),
  );
  const partsOf = (train: "both" | "decoder") =>
    new Set(task.trained(autoencoderTask.stage.parse({ train })).map(([name]) => name.split(".")[1]));
  expect(partsOf("both")).toEqual(new Set(["encoder", "quant_conv", "decoder", "post_quant_conv"]));
  expect(partsOf("decoder")).toEqual(new Set(["decoder", "post_quant_conv"]));
});
