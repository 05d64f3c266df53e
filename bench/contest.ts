import { readFile } from "node:fs/promises";
import { type Entrant, Participant } from "./participant.ts";

/** What came out for one participant. Times are in seconds. */
export interface Measured {
  readonly name: string;
  version?: string;
  flops?: number | undefined;
  /** From the start of the process until the model is loaded. */
  start?: number;
  load?: number;
  /** The first run, which compiles, allocates and fetches what loading left for later. */
  first?: number;
  /** The runs after it; where the first took all the time there is, that one alone. */
  runs: number[];
  /** Of a picture: each run's time to the end of each step. */
  steps: (readonly number[])[];
  /** From the abort of a run until it has ended and the backend is free. */
  abort?: number;
  /** Steps that it made, where the time of the others is estimated. */
  estimatedFrom?: number;
  peakBytes?: number;
  /** Bytes of the model's weights in float32, whatever they are in the file. */
  weightBytes?: number;
  /** The largest difference to the peer's result, divided by the peer's largest magnitude. */
  difference?: number;
  /** Why it has no figures. */
  refused?: string;
}

interface Options {
  /** Runs of each, after the first, at most. */
  runs: number;
  /** Seconds that these runs of one participant may take: no run begins that would take it beyond. */
  patience: number;
  /** Whether it is measured how fast a run ends when it is told to. */
  aborts: (name: string) => boolean;
  /** Whether all can be in memory at once, and take turns, with so many of them. */
  canAlternate: (participants: number) => boolean;
}

/** Runs all that take part and hear of the same task, in turns where memory allows: whatever slows the machine slows all of them. */
export async function contest(entrants: readonly Entrant[], { runs, patience, aborts, canAlternate }: Options) {
  const all = entrants.map(({ name }): Measured => ({ name, runs: [], steps: [] }));
  const processes: Participant[] = [];
  /** Does something with each that still takes part. */
  const each = async (members: readonly Measured[], act: (measured: Measured, of: Participant) => Promise<void>) => {
    for (const measured of members) {
      if (measured.refused !== undefined) continue;
      await act(measured, processes[all.indexOf(measured)]!).catch((error: Error) => {
        measured.refused = error.message;
      });
    }
  };

  const run = async (measured: Measured, process: Participant): Promise<number> => {
    const { seconds, steps } = await process.ask("run");
    if (steps) measured.steps.push(steps);
    return seconds!;
  };

  try {
    for (const [i, { command }] of entrants.entries()) {
      const started = performance.now();
      processes.push(new Participant(command));
      await each([all[i]!], async (measured, process) => {
        const { version = "", flops } = await process.answer();
        Object.assign(measured, { version, flops, start: (performance.now() - started) / 1000 });
      });
    }

    const willing = all.filter(({ refused }) => refused === undefined);
    const groups = canAlternate(willing.length) ? [willing] : willing.map((one) => [one]);
    for (const group of groups) {
      await each(group, async (measured, process) => {
        measured.load = (await process.ask("load")).seconds!;
        measured.start! += measured.load;
        measured.first = await run(measured, process);
      });
      for (let round = 0; round < runs; round++) {
        await each(group, async (measured, process) => {
          const last = measured.runs.at(-1) ?? measured.first!;
          const spent = measured.runs.reduce((sum, seconds) => sum + seconds, last);
          if (spent < patience) measured.runs.push(await run(measured, process));
        });
      }
      await each(group, async (measured, process) => {
        if (aborts(measured.name)) measured.abort = (await process.ask("abort")).seconds!;
        measured.peakBytes = (await process.ask("end")).peakBytes!;
        if (measured.runs.length === 0) measured.runs.push(measured.first!);
      });
    }
  } finally {
    for (const process of processes) process.stop();
  }
  return all;
}

export async function relativeDifference(path: string, peerPath: string): Promise<number> {
  const [ours, peers] = await Promise.all([floats(path), floats(peerPath)]);
  if (ours.length !== peers.length) return Number.NaN;
  let [difference, magnitude] = [0, 0];
  for (const [i, peer] of peers.entries()) {
    const here = Math.abs(ours[i]! - peer);
    if (!(here <= difference)) difference = here; // NaN must not pass for equal
    magnitude = Math.max(magnitude, Math.abs(peer));
  }
  return difference / magnitude;
}

async function floats(path: string): Promise<Float32Array> {
  const { buffer, byteOffset, length } = await readFile(path);
  return new Float32Array(buffer.slice(byteOffset, byteOffset + length));
}
