import { describe, expect, it } from "vitest";
import { unary } from "../../../src/backends/onnxruntime/build.ts";
import type { Program } from "../../../src/backends/onnxruntime/compile.ts";
import { leaf, recordedBy } from "../../../src/backends/onnxruntime/graph.ts";
import type { Request } from "../../../src/backends/onnxruntime/protocol.ts";
import { Sessions, workWorthPacking, workWorthRemaking } from "../../../src/backends/onnxruntime/sessions.ts";

function program(
  key: string,
  { work = 10, weights = key, weightBytes = 0, hasHalf = false, modelBytes = 0, isTraining = false } = {},
): Program {
  const place = { path: `/${weights}`, offset: 8, length: weightBytes, fileSize: 100, modified: 1 };
  const places = weightBytes > 0 ? [place] : [];
  return {
    key,
    inputs: [],
    outputs: [],
    halves: new Set(),
    calls: [],
    places,
    folder: "/",
    hasHalf,
    work,
    isTraining,
    encode: () => new Uint8Array(modelBytes),
  };
}

function sessionsThatTell(options = {}): { sessions: Sessions; told: Request[] } {
  const told: Request[] = [];
  return { sessions: new Sessions(options, (request) => told.push(request)), told };
}

const kinds = (told: readonly Request[]) => told.map(({ kind }) => kind);
const created = (told: readonly Request[]) => told.flatMap((it) => (it.kind === "create" ? [it] : []));

/** Work that is worth packing for, with so many bytes of weights. */
const worth = (bytes: number) => workWorthPacking * bytes;

describe("sessions", () => {
  it("are shared by graphs of one structure", () => {
    const { sessions, told } = sessionsThatTell();
    expect(sessions.open(program("a"))).toBe(sessions.open(program("a")));
    expect(sessions.open(program("b"))).not.toBe(sessions.open(program("a")));
    expect(kinds(told)).toEqual(["create", "create"]);
  });

  it("are closed where there are too many, the longest unused first", () => {
    const { sessions, told } = sessionsThatTell({ maxSessions: 2 });
    const [a, b] = [sessions.open(program("a")), sessions.open(program("b"))];
    sessions.open(program("a"));
    sessions.open(program("c"));
    expect(told.at(-1)).toEqual({ kind: "close", session: b });
    expect(sessions.open(program("a"))).toBe(a);
  });

  it("are closed where they hold too much, the longest unused first, and never the one that is to be used", () => {
    const { sessions, told } = sessionsThatTell({ maxSessionBytes: 1000 });
    const opened = ["a", "b", "c"].map((key) => sessions.open(program(key, { modelBytes: 400 })));
    expect(told.at(-1)).toEqual({ kind: "close", session: opened[0] });
    expect(sessions.held()).toEqual({ packed: 0, sessionBytes: 800 });
    const large = sessions.open(program("large", { modelBytes: 2000 }));
    expect(sessions.open(program("large"))).toBe(large);
    expect(sessions.held()).toEqual({ packed: 0, sessionBytes: 2000 });
    expect(told.filter(({ kind }) => kind === "close")).toHaveLength(3);
  });

  it("are packed as far as there is room beside those that take turns with them, and no further", () => {
    const { sessions } = sessionsThatTell({ maxSessionBytes: 2.5e6 });
    const stages = ["first", "second", "third"].map((key) => program(key, { work: worth(1e6) / 2, weightBytes: 1e6 }));
    for (let run = 1; run <= 5; run++) for (const stage of stages) sessions.open(stage);
    expect(sessions.held()).toEqual({ packed: 2, sessionBytes: 2e6 });
  });

  it("are packed in the place of those that nobody uses any more", () => {
    const { sessions } = sessionsThatTell({ maxSessionBytes: 2.5e6 });
    const stages = (size: string) =>
      ["first", "second"].map((key) =>
        program(`${size} ${key}`, { weights: key, work: worth(1e6) / 2, weightBytes: 1e6 }),
      );
    for (let run = 1; run <= 3; run++) for (const stage of stages("small")) sessions.open(stage);
    for (let run = 1; run <= 3; run++) for (const stage of stages("large")) sessions.open(stage);
    const ids = stages("large").map((stage) => sessions.open(stage));
    expect(sessions.held()).toEqual({ packed: 2, sessionBytes: 2e6 });
    expect(stages("large").map((stage) => sessions.open(stage))).toEqual(ids);
  });

  it("stay of their kind where a program trains", () => {
    const { sessions, told } = sessionsThatTell();
    sessions.keepKinds();
    const unet = program("unet", { work: worth(1e6) / 2, weightBytes: 1e6 });
    for (let run = 1; run <= 10; run++) sessions.open(unet);
    sessions.open(program("decoder", { work: worth(1e6), weightBytes: 1e6 }));
    expect(created(told).map(({ options }) => options.graphOptimizationLevel)).toEqual(["extended", "all"]);
  });

  it("are closed with the weights that they were made for", () => {
    const { sessions, told } = sessionsThatTell();
    sessions.open(program("without"));
    const session = sessions.open(program("with", { weightBytes: 10 }));
    sessions.closeThoseWith(["8:1:/with"]);
    expect(told.slice(2)).toEqual([{ kind: "close", session }]);
  });

  it("are packed when their runs have been worth it: at once where much is done with few weights", () => {
    const { sessions, told } = sessionsThatTell();
    sessions.open(program("decoder", { work: worth(1e5), weightBytes: 1e5 }));
    const unet = program("unet", { work: worth(1e6) / 4, weightBytes: 1e6 });
    for (let run = 1; run <= 10; run++) sessions.open(unet);
    expect(kinds(told)).toEqual(["create", "create", "close", "create"]);
    expect(created(told).map(({ options }) => options.graphOptimizationLevel)).toEqual(["all", "extended", "all"]);
    expect(created(told).map(({ options }) => options.extra!.session)).toMatchObject([
      { disable_prepacking: "0" },
      { disable_prepacking: "1" }, // nor are a UNet's matrices packed afterwards, which would take too long
      { disable_prepacking: "1" },
    ]);
    const { session } = created(told)[1]!;
    expect(told[2]).toEqual({ kind: "close", session });
  });

  it("of many weights of half width are never packed: those are widened in each run, graph by graph", () => {
    const { sessions, told } = sessionsThatTell();
    const unet = program("unet", { work: worth(1e6) / 4, weightBytes: 1e6, hasHalf: true });
    for (let run = 1; run <= 10; run++) sessions.open(unet);
    sessions.open(program("decoder", { work: worth(1e5), weightBytes: 1e5, hasHalf: true }));
    const options = created(told).map((it) => it.options);
    expect(options.map(({ graphOptimizationLevel }) => graphOptimizationLevel)).toEqual(["extended", "all"]);
    expect(options.map(({ extra }) => "optimization" in extra!)).toEqual([true, false]);
  });

  it("hold the same weights packed once: for the shape that they were last packed for", () => {
    const { sessions, told } = sessionsThatTell();
    const work = worth(1e6);
    const tiles = (shape: string) =>
      ["first", "second"].map((half) => program(`${shape} ${half}`, { work, weights: half, weightBytes: 1e6 }));
    const inner = tiles("inner").map((half) => sessions.open(half));
    expect(tiles("inner").map((half) => sessions.open(half))).toEqual(inner);
    for (const half of tiles("edge")) sessions.open(half);
    expect(kinds(told)).toEqual(["create", "create", "close", "create", "close", "create"]);
    expect(told.flatMap((it) => (it.kind === "close" ? [it.session] : []))).toEqual(inner);
    expect(sessions.held()).toEqual({ packed: 2, sessionBytes: 2e6 });
  });

  it("hold the same weights as they lie once where they are soon made, for the shape that they were last made for", () => {
    const { sessions, told } = sessionsThatTell();
    const work = workWorthRemaking * 1e6;
    const tile = (shape: string) => program(shape, { work, weights: "decoder", weightBytes: 1e6 });
    const inner = sessions.open(tile("inner"));
    expect(sessions.open(tile("inner"))).toBe(inner);
    const edge = sessions.open(tile("edge"));
    sessions.open(program("preview", { work: work / 100, weights: "decoder", weightBytes: 1e6 }));
    expect(told.filter(({ kind }) => kind === "close")).toEqual([
      { kind: "close", session: inner },
      { kind: "close", session: edge },
    ]);
    sessions.open(tile("edge")); // what takes longer to make than to run stays
    expect(kinds(told)).toEqual(["create", "close", "create", "close", "create", "create"]);
  });

  it("on a GPU, to which weights have to cross, stay beside those of other shapes", () => {
    const { sessions, told } = sessionsThatTell({ device: "webgpu" });
    const work = workWorthRemaking * 1e6;
    for (const shape of ["inner", "edge"])
      sessions.open(program(shape, { work, weights: "decoder", weightBytes: 1e6 }));
    expect(kinds(told)).toEqual(["create", "create"]);
  });

  it("take turns with the same weights unpacked, but for one of them, where a single run is not worth it", () => {
    const { sessions, told } = sessionsThatTell();
    const tile = (shape: string) => program(shape, { work: worth(1e6) / 5, weights: "unet", weightBytes: 1e6 });
    for (let run = 1; run <= 10; run++) for (const shape of ["inner", "edge"]) sessions.open(tile(shape));
    expect(sessions.held()).toEqual({ packed: 1, sessionBytes: 1e6 });
    expect(kinds(told)).toEqual(["create", "create", "close", "create"]);
    for (let run = 1; run <= 2; run++) sessions.open(tile("edge")); // the other is used no more
    expect(kinds(told).slice(4)).toEqual(["close", "close", "create"]);
    expect(sessions.held()).toEqual({ packed: 1, sessionBytes: 1e6 });
  });

  it("of training keep the memory of their activations, which counts as theirs", () => {
    const x = leaf("float32", [1000], { kind: "constant", values: new Float32Array(1000) });
    const { result, calls } = recordedBy({ kernel: "test" }, () => unary("Neg", unary("Exp", unary("Neg", x))));
    const step = { calls, outputs: [result] }; // two of the three results are there together
    const { sessions, told } = sessionsThatTell();
    for (const isTraining of [false, true]) sessions.open({ ...program(`${isTraining}`, { isTraining }), ...step });
    expect(sessions.held().sessionBytes).toBe(2 * 3 * 6000 + 2 * 4000);
    expect(created(told).map(({ options }) => options.enableCpuMemArena)).toEqual([false, true]);
  });

  it("of small graphs wake no other threads; of large ones as many as are asked for", () => {
    const { sessions, told } = sessionsThatTell({ threads: 3 });
    sessions.open(program("small", { work: 100 }));
    sessions.open(program("large", { work: 1e9 }));
    expect(created(told).map(({ options }) => options.intraOpNumThreads)).toEqual([1, 3]);
  });
});
