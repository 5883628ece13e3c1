import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";

test("a sleep ends with the signal's reason when that aborts first", async () => {
  const abort = new AbortController();
  const sleep = systemClock.sleep(60_000, abort.signal);
  abort.abort(new Error("enough"));
  await expect(sleep).rejects.toThrow("enough");
});

test("a sleep with an aborted signal does not begin", async () => {
  await expect(systemClock.sleep(60_000, AbortSignal.abort(new Error("late")))).rejects.toThrow(
    "late",
  );
});

test("a sleep that runs out resolves", async () => {
  const startMs = systemClock.monotonicMs();
  await systemClock.sleep(5, new AbortController().signal);
  expect(systemClock.monotonicMs() - startMs).toBeGreaterThanOrEqual(4);
});
