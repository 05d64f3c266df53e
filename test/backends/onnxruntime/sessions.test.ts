import { describe, expect, it } from "vitest";
import type { Program } from "../../../src/backends/onnxruntime/compile.ts";
import type { Request } from "../../../src/backends/onnxruntime/protocol.ts";
import { Sessions } from "../../../src/backends/onnxruntime/sessions.ts";

function program(key: string, { work = 10, weightBytes = 0, hasHalf = false } = {}): Program {
  const place = { path: "/weights", offset: 8, length: weightBytes, fileSize: 100, modified: 1 };
  const places = weightBytes > 0 ? [place] : [];
  return {
    key,
    inputs: [],
    outputs: [],
    calls: [],
    places,
    folder: "/",
    hasHalf,
    work,
    encode: () => new Uint8Array(),
  };
}

function sessionsThatTell(options = {}): { sessions: Sessions; told: Request[] } {
  const told: Request[] = [];
  return { sessions: new Sessions(options, (request) => told.push(request)), told };
}

const kinds = (told: readonly Request[]) => told.map(({ kind }) => kind);
const created = (told: readonly Request[]) => told.flatMap((it) => (it.kind === "create" ? [it] : []));

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

  it("are closed with the weights that they were made for", () => {
    const { sessions, told } = sessionsThatTell();
    sessions.open(program("without"));
    const session = sessions.open(program("with", { weightBytes: 10 }));
    sessions.closeThoseWith(["8:1:/weights"]);
    expect(told.slice(2)).toEqual([{ kind: "close", session }]);
  });

  it("are packed when their runs have been worth it: at once where much is done with few weights", () => {
    const { sessions, told } = sessionsThatTell();
    sessions.open(program("decoder", { work: 1e9, weightBytes: 1e5 }));
    const unet = program("unet", { work: 1e9, weightBytes: 1e6 });
    for (let run = 1; run <= 10; run++) sessions.open(unet);
    expect(kinds(told)).toEqual(["create", "create", "close", "create"]);
    expect(created(told).map(({ options }) => options.graphOptimizationLevel)).toEqual(["all", "extended", "all"]);
    const { session } = created(told)[1]!;
    expect(told[2]).toEqual({ kind: "close", session });
  });

  it("of many weights of half width are never packed: those are widened in each run, graph by graph", () => {
    const { sessions, told } = sessionsThatTell();
    const unet = program("unet", { work: 1e9, weightBytes: 1e6, hasHalf: true });
    for (let run = 1; run <= 10; run++) sessions.open(unet);
    sessions.open(program("decoder", { work: 1e9, weightBytes: 1e5, hasHalf: true }));
    const options = created(told).map((it) => it.options);
    expect(options.map(({ graphOptimizationLevel }) => graphOptimizationLevel)).toEqual(["extended", "all"]);
    expect(options.map(({ extra }) => "optimization" in extra!)).toEqual([true, false]);
  });

  it("of small graphs wake no other threads; of large ones as many as are asked for", () => {
    const { sessions, told } = sessionsThatTell({ threads: 3 });
    sessions.open(program("small", { work: 100 }));
    sessions.open(program("large", { work: 1e9 }));
    expect(created(told).map(({ options }) => options.intraOpNumThreads)).toEqual([1, 3]);
  });
});
