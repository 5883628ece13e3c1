import { SAMPLED, type TraceContext } from "./trace-context.ts";

/** Whether a trace is recorded; the same for each process that decides on it by the same ratio. */
export type Sampler = (traceId: string, caller: TraceContext | undefined) => boolean;

/** The last 13 digits of an id, 52 random bits, are exact in a number. */
const DIGITS_FROM = 19;
const IDS = 2 ** 52;

/** Records all, none, or a part by the trace's id. */
export function sampleRatio(ratio: number): Sampler {
  if (ratio >= 1) return () => true;
  if (ratio <= 0) return () => false;
  const first = (1 - ratio) * IDS;
  return (traceId) => Number.parseInt(traceId.slice(DIGITS_FROM), 16) >= first;
}

/** Records what the caller records; `root` decides where no caller has. */
export function sampleAsCaller(root: Sampler): Sampler {
  return (traceId, caller) =>
    caller === undefined ? root(traceId, caller) : (caller.flags & SAMPLED) !== 0;
}
