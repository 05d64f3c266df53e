import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import * as tf from "@tensorflow/tfjs-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { backendName, OnnxRuntimeBackend } from "../../../src/backends/onnxruntime/index.ts";
import { compileSources } from "../../helpers/compiled.ts";

describe("the backend's thread", () => {
  it("ends with the backend: what is waited for fails, and a new one works", async () => {
    for (let round = 0; round < 3; round++) {
      await tf.setBackend(backendName);
      const x = tf.tensor1d([1, 2]);
      const y = tf.tidy(() => tf.add(x, round));
      expect(await y.array()).toEqual([1 + round, 2 + round]);
      const z = tf.tidy(() => tf.mul(y, 2));
      const waiting = z.data();
      tf.removeBackend(backendName);
      await expect(waiting).rejects.toThrow("The backend was removed");
      tf.registerBackend(backendName, () => new OnnxRuntimeBackend(), 3);
    }
  });

  it("leaves time for everything else while it computes", async () => {
    await tf.setBackend(backendName);
    const x = tf.tidy(() => tf.mul(tf.ones([3000, 3000]), 0.5));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const y = tf.tidy(() => Array.from({ length: 30 }).reduce<tf.Tensor>((sum) => tf.tanh(tf.exp(sum)), x));
    await (tf.backend() as OnnxRuntimeBackend).flush([y]);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(10);
    tf.dispose([x, y]);
  });
});

describe("a program", () => {
  let compiled: Awaited<ReturnType<typeof compileSources>>;
  beforeAll(async () => {
    compiled = await compileSources();
  });
  afterAll(() => compiled.remove());

  /** What is imported first is so in the backend's thread too. */
  async function runs(
    name: string,
    source: string,
    { imported }: { imported?: string } = {},
  ): Promise<{ stdout: string; stderr: string }> {
    const path = join(compiled.folder, `${name}.js`);
    const start = `import * as tf from "@tensorflow/tfjs-core";\nimport "./backends/onnxruntime/index.js";\nawait tf.setBackend("onnxruntime");\n`;
    await writeFile(path, start + source);
    const env = { ...process.env, ...(imported && { NODE_OPTIONS: `--import ${pathToFileURL(imported)}` }) };
    return promisify(execFile)(process.execPath, [path], { timeout: 20_000, env });
  }

  it("ends by itself while the thread lives", async () => {
    const { stdout, stderr } = await runs("end", "console.log(await tf.add([1, 2], 3).array());");
    expect({ stdout, stderr }).toEqual({ stdout: "[ 4, 5 ]\n", stderr: "" });
  });

  it("is kept alive by a read", async () => {
    const { stdout } = await runs("read", "tf.add([1, 2], 3).array().then((values) => console.log(values));");
    expect(stdout).toBe("[ 4, 5 ]\n");
  });

  it("may exit in the middle of a computation", async () => {
    const source = `
      const x = tf.ones([2000, 2000]);
      const y = tf.tidy(() => { let y = x; for (let i = 0; i < 200; i++) y = tf.exp(tf.neg(y)); return y; });
      y.data().catch(() => {});
      setTimeout(() => { console.log("exits"); process.exit(3); }, 300);`;
    await expect(runs("exit", source)).rejects.toMatchObject({ code: 3, stdout: "exits\n", stderr: "" });
  });

  it("hears that the thread ended", async () => {
    const source = `
      const x = tf.ones([2000, 2000]);
      const y = tf.tidy(() => { let y = x; for (let i = 0; i < 200; i++) y = tf.exp(tf.neg(y)); return y; });
      const read = y.data();
      tf.removeBackend("onnxruntime");
      await read.catch((error) => console.log(error.message));`;
    const { stdout, stderr } = await runs("removed", source);
    expect({ stdout, stderr }).toEqual({ stdout: "The backend was removed before this was computed.\n", stderr: "" });
  });

  describe.each([
    ["exits", "process.exit(7)", "exit code 7"],
    ["throws", 'throw new Error("No memory.")', "No memory."],
  ])("whose thread %s", (how, end, reason) => {
    /** The thread ends when it is asked for numbers. */
    async function ending(): Promise<string> {
      const path = join(compiled.folder, `thread-${how}.mjs`);
      const source = `
        import { isMainThread, parentPort } from "node:worker_threads";
        if (!isMainThread) parentPort.on("message", ({ kind }) => { if (kind === "read") ${end}; });`;
      await writeFile(path, source);
      return path;
    }

    it("tells all that wait, and whoever asks later, and ends by itself", async () => {
      const source = `
        const told = (error) => console.log(error.message);
        await Promise.all([tf.add([1, 2], 3).data().catch(told), tf.add([1, 2], 4).data().catch(told)]);
        await tf.add([1, 2], 5).data().catch(told);
        await tf.backend().flush([]).catch(told);
        tf.removeBackend("onnxruntime");`;
      const { stdout, stderr } = await runs(how, source, { imported: await ending() });
      const message =
        `ONNX Runtime's thread has ended (${reason}), with all tensors of the backend. Start the program again, or make a new ` +
        "backend with tf.removeBackend and tf.registerBackend.\n";
      expect({ stdout, stderr }).toEqual({ stdout: message.repeat(4), stderr: "" });
    });

    it("may end with it, when nobody has heard of it yet", async () => {
      const source = `
        tf.add([1, 2], 3).data().catch(() => {});
        setTimeout(() => process.exit(3), 100);`;
      await expect(runs(`${how}-early`, source, { imported: await ending() })).rejects.toMatchObject({ code: 3 });
    });
  });

  it("makes and removes many backends without a warning", async () => {
    const source = `
      import { OnnxRuntimeBackend } from "./backends/onnxruntime/index.js";
      const before = process.listenerCount("exit");
      for (let i = 0; i < 15; i++) {
        tf.removeBackend("onnxruntime");
        tf.registerBackend("onnxruntime", () => new OnnxRuntimeBackend());
        await tf.setBackend("onnxruntime");
      }
      console.log(await tf.add([1, 2], 3).array(), process.listenerCount("exit") - before);`;
    const { stdout, stderr } = await runs("many", source);
    expect({ stdout, stderr }).toEqual({ stdout: "[ 4, 5 ] 0\n", stderr: "" });
  });
});
