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
  peakBytes?: number;
  /** The largest difference to the peer's result, divided by the peer's largest magnitude. */
  difference?: number;
  /** Why it has no figures. */
  refused?: string;
}

interface Options {
  /** Runs of each, at most. */
  runs: number;
  /** Seconds that the runs of one participant may take, beyond which it makes no more. */
  patience: number;
  /** Whether all can be in memory at once, and take turns, with so many of them. */
  canAlternate: (participants: number) => boolean;
}

/** Runs all that take part and hear of the same task, in turns where memory allows: whatever slows the machine slows all of them. */
export async function contest(entrants: readonly Entrant[], { runs, patience, canAlternate }: Options) {
  const all = entrants.map(({ name }): Measured => ({ name, runs: [] }));
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
        measured.first = (await process.ask("run")).seconds!;
      });
      for (let round = 0; round < runs; round++) {
        await each(group, async (measured, process) => {
          const spent = measured.runs.reduce((sum, seconds) => sum + seconds, measured.first!);
          if (spent < patience) measured.runs.push((await process.ask("run")).seconds!);
        });
      }
      await each(group, async (measured, process) => {
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
