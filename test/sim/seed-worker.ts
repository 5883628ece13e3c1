import { runSeed } from "./run-seed.ts";

declare const self: Worker;

export interface SeedRange {
  readonly first: number;
  readonly step: number;
  readonly last: number;
}

export interface SeedFailure {
  readonly seed: number;
  readonly violations: readonly string[];
}

/** Failures that are told; more of them say nothing new. */
const FAILURES_MAX = 50;

self.onmessage = ({ data }) => {
  const { first, step, last } = data as SeedRange;
  const failures: SeedFailure[] = [];
  for (let seed = first; seed <= last && failures.length < FAILURES_MAX; seed += step) {
    try {
      const { violations } = runSeed(seed);
      if (violations.length > 0) failures.push({ seed, violations });
    } catch (thrown) {
      failures.push({
        seed,
        violations: [thrown instanceof Error ? `${thrown.stack}` : String(thrown)],
      });
    }
  }
  self.postMessage(failures);
};
