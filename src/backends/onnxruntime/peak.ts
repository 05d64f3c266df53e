import { sizeOf } from "./build.ts";
import type { Program } from "./compile.ts";
import type { Node } from "./graph.ts";

/** Bytes of the results that are there together at most, as operators stand one after another: outputs stay to the end. */
export function peakBytes({ calls, outputs }: Pick<Program, "calls" | "outputs">): number {
  const lastUse = new Map<Node, number>();
  for (const [place, { inputs }] of calls.entries()) {
    for (const input of inputs) if (input) lastUse.set(input, place);
  }
  for (const output of outputs) lastUse.set(output, calls.length);

  const ending = Array.from(calls, () => 0); // bytes of results that nobody uses after an operator
  let [bytes, most] = [0, 0];
  for (const [place, call] of calls.entries()) {
    for (const output of call.outputs) {
      const size = 4 * sizeOf(output.shape);
      const last = lastUse.get(output) ?? place;
      bytes += size;
      if (last < calls.length) ending[last]! += size;
    }
    most = Math.max(most, bytes);
    bytes -= ending[place]!;
  }
  return most;
}
