import { expect, test } from "bun:test";
import { availableParallelism } from "node:os";
import { createLog } from "../../src/base/log.ts";
import { describeSeed } from "./describe-seed.ts";
import { runSeed } from "./run-seed.ts";
import type { SeedFailure, SeedRange } from "./seed-worker.ts";

/** `bun run test` asks for 10,000; while one works, fewer say enough. */
const SEEDS = Number(process.env["CORTEX_SIM_SEEDS"] ?? 300);
const FIRST = Number(process.env["CORTEX_SIM_FIRST"] ?? 1);
const TIMEOUT_MS = 1_800_000;

if (process.env["SEED"] === undefined) {
  test(
    `in ${SEEDS} random fleets with faults every invariant holds at every moment`,
    async () => {
      const workers = Math.min(availableParallelism(), Math.max(1, Math.floor(SEEDS / 50)));
      const ranges = Array.from({ length: workers }, (_, index) => ({
        first: FIRST + index,
        step: workers,
        last: FIRST + SEEDS - 1,
      }));
      const failures = (await Promise.all(ranges.map(runInWorker))).flat();
      for (const { seed, violations } of failures.slice(0, 20)) {
        process.stdout.write(`SEED=${seed} bun test test/sim/fleet.test.ts\n`);
        for (const violation of violations) process.stdout.write(`  ${violation}\n`);
      }
      expect(failures.map(({ seed }) => seed)).toEqual([]);
    },
    TIMEOUT_MS,
  );
} else {
  test(`the random fleet of seed ${process.env["SEED"]} keeps every invariant`, () => {
    const result = runSeed(Number(process.env["SEED"]), { log: createLog("debug") });
    process.stdout.write(describeSeed(result));
    expect(result.violations).toEqual([]);
  });
}

test("the same seed runs the same way twice", () => {
  const told = [7, 7].map((seed) => describeSeed(runSeed(seed)));
  expect(told[0]).toBe(told[1] ?? "");
});

async function runInWorker(range: SeedRange): Promise<SeedFailure[]> {
  const worker = new Worker(new URL("./seed-worker.ts", import.meta.url).href);
  try {
    return await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data as SeedFailure[]);
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage(range);
    });
  } finally {
    worker.terminate();
  }
}
