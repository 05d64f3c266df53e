import { spawnSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { encodePng } from "../../src/image/index.ts";
import { readLog } from "../../src/training/log.ts";
import { type RunOptions, root, runCli, temporaryFolder } from "../helpers/cli.ts";

const stage = { steps: 6, batch: 2, learningRate: 0.002, warmUp: 2, sizes: [[32, 32]] };

/** A configuration that trains a tiny autoencoder on scenes, in a folder that is gone after the test. */
async function training(changes: object = {}): Promise<{ path: string; output: string }> {
  const folder = await temporaryFolder();
  const vae = join(folder, "vae");
  await mkdir(vae);
  const config = JSON.parse(await readFile(join(root, "weights/mini/vae/config.json"), "utf8"));
  const [down, up] = [config.down_block_types[0], config.up_block_types[0]];
  const small = {
    ...config,
    block_out_channels: [4, 8],
    down_block_types: [down, down],
    up_block_types: [up, up],
    norm_num_groups: 4,
    latent_channels: 4,
    mid_block_add_attention: false,
  };
  await writeFile(join(vae, "config.json"), JSON.stringify(small));
  const json = {
    task: "autoencoder",
    model: { vae },
    data: { scenes: { seed: 1, count: 20, sizes: [[32, 32]] } },
    output: join(folder, "out"),
    stages: [stage],
    checkpointEvery: 2,
    sampleEvery: 4,
    samples: 2,
    ...changes,
  };
  const path = join(folder, "train.json");
  await writeFile(path, JSON.stringify(json));
  return { path, output: json.output };
}

const train = (path: string, options?: RunOptions) => runCli(["train", path], options);

async function lossesIn(output: string): Promise<object[]> {
  return (await readLog(join(output, "log.jsonl"))).map(({ seconds, ...entry }) => entry);
}

describe("tfjs-diffusion train", () => {
  it("that is killed at any moment, again and again, comes to the same losses and weights as one that never was", async () => {
    const [whole, killed] = [await training(), await training()];
    const ran = await train(whole.path);
    expect(ran.stderr).toMatch(/^autoencoder: 20 pictures, 6 steps in 1 stage, to .*\ntraining, stage 1\/1 …\n/);
    expect(ran.stderr).toMatch(/samples of step 4: psnr \d/);
    expect(ran.stdout).toContain(`${whole.output}: trained in `);
    const delays: number[] = [];
    for (let i = 0; i < 2; i++) {
      delays.push(Math.floor(Math.random() * 1500));
      const kill = (child: { kill(signal: "SIGKILL"): boolean }) => setTimeout(() => child.kill("SIGKILL"), delays[i]);
      await train(killed.path, { onStderr: { matching: /stage 1/, act: kill } });
    }
    const last = await train(killed.path);
    const message = `killed after ${delays} ms`;
    expect(last.code, message).toBe(0);
    expect(last.stderr).toMatch(
      /Going on after step \d of 6, from .*checkpoint|All 6 steps were done before|^autoencoder/,
    );
    expect(await lossesIn(killed.output), message).toEqual(await lossesIn(whole.output));
    const weights = "vae/diffusion_pytorch_model.safetensors";
    expect(await readFile(join(killed.output, weights)), message).toEqual(await readFile(join(whole.output, weights)));
    expect(await readdir(killed.output), message).toEqual(await readdir(whole.output)); // nothing half written is left
  }, 600_000);

  it("writes a checkpoint at Ctrl-C, and goes on from it", async () => {
    const { path, output } = await training({ checkpointEvery: 100, sampleEvery: 0 });
    const stopped = await train(path, { onStderr: { matching: /stage 1/, act: (child) => child.kill("SIGINT") } });
    expect(stopped.code).toBe(130);
    const [, step] = /The checkpoint of step (\d) is kept: the same command goes on from there\.\nstopped\.\n$/.exec(
      stopped.stderr,
    )!;
    expect(await readdir(output)).toContain(`checkpoint-0000000${step}.safetensors`);
    const goneOn = await train(path);
    expect(goneOn.stderr).toContain(`Going on after step ${step} of 6`);
    expect((await lossesIn(output)).length).toBe(6);
  }, 300_000);
});

describe("tfjs-diffusion train refuses in a sentence", () => {
  it("what is no configuration", async () => {
    const { path } = await training({ stages: [{ ...stage, learningrate: 1 }] });
    const { code, stderr } = await train(path);
    expect(code).toBe(2);
    expect(stderr).toBe(`error: ${path}, "stages.0": the field "learningrate" is not supported (its value is 1).\n`);
  });

  it("a caption that the text encoder takes no more than the beginning of, and cuts it where that is wished", async () => {
    const data = await temporaryFolder();
    const caption = "a big red boat on the right, sea at night ".repeat(5);
    const lines: string[] = [];
    for (const file of ["a.png", "b.png"]) {
      await writeFile(join(data, file), encodePng({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) }));
      lines.push(JSON.stringify({ file, captions: ["船", caption] }));
    }
    await writeFile(join(data, "captions.jsonl"), lines.join("\n"));
    const names = ["unet", "vae", "text_encoder", "tokenizer", "scheduler"];
    const changes = {
      task: "unet",
      model: Object.fromEntries(names.map((name) => [name, join(root, "weights/mini", name)])),
      stages: [{ ...stage, steps: 1, batch: 1 }],
      samples: 1,
      sampleEvery: 0,
    };
    const { path } = await training({ ...changes, data: { folder: data } });
    const { code, stderr } = await train(path);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^error: .*captions\.jsonl.*: a caption has more than the 32 tokens that the text encoder takes; "[^"]+" is left over\. Shorten it, or say "longCaptions": "cut"\.\n$/,
    );
    const cut = await training({ ...changes, data: { folder: data, longCaptions: "cut" } });
    expect((await train(cut.path)).code).toBe(0);
  }, 300_000);

  const hasOwnDisks = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).status === 0;
  it.skipIf(!hasOwnDisks)(
    "a full disk, and keeps the last checkpoint",
    async () => {
      const { path, output } = await training({ sampleEvery: 0, checkpointEvery: 1 });
      await mkdir(output);
      // The disk is gone with the process, so what is left on it is listed there.
      const script = `mount -t tmpfs -o size=500k tmpfs ${output} && { "$@"; code=$?; ls ${output}; exit $code; }`;
      const command = [process.execPath, join(root, "dist/cli/main.js"), "train", path];
      const { status, stdout, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script, "sh", ...command], {
        encoding: "utf8",
      });
      expect(stderr).toMatch(
        /error: .* can't be written: the disk is full\. Free some space or choose another place\.\n$/,
      );
      const [, step] = /The checkpoint of step (\d) is kept/.exec(stderr)!;
      expect(stdout).toContain(`checkpoint-0000000${step}.safetensors`);
      expect(status).toBe(2);
    },
    300_000,
  );
});
