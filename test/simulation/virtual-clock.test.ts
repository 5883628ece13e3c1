import { describe, expect, test } from "bun:test";
import { PartyClock, VirtualClock } from "../../src/simulation/virtual-clock.ts";

describe("virtual clock", () => {
  test("what is due comes in the order of its time, and of being asked for at the same time", () => {
    const clock = new VirtualClock();
    const startMs = clock.monotonicMs();
    const seen: string[] = [];
    for (const [name, delayMs] of [
      ["c", 30],
      ["a", 10],
      ["d", 30],
      ["b", 20],
    ] as const) {
      clock.after(delayMs, () => seen.push(`${name}${clock.monotonicMs() - startMs}`));
    }
    clock.run(startMs + 100);
    expect(seen).toEqual(["a10", "b20", "c30", "d30"]);
    expect(clock.monotonicMs()).toBe(startMs + 100);
  });

  test("promises settle before the next moment begins", () => {
    const clock = new VirtualClock();
    const startMs = clock.monotonicMs();
    const seen: number[] = [];
    const walk = async () => {
      for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
      seen.push(clock.monotonicMs() - startMs);
      await clock.sleep(5);
      seen.push(clock.monotonicMs() - startMs);
    };
    clock.after(1, () => void walk());
    clock.after(2, () => seen.push(clock.monotonicMs() - startMs));
    clock.run(startMs + 10);
    expect(seen).toEqual([1, 2, 6]);
  });

  test("a sleep that is aborted rejects with the reason, at once and when it was before", async () => {
    const clock = new VirtualClock();
    const abort = new AbortController();
    const sleep = clock.sleep(1_000, abort.signal);
    abort.abort(new Error("enough"));
    expect(sleep).rejects.toThrow("enough");
    expect(clock.sleep(1, abort.signal)).rejects.toThrow("enough");
    expect(clock.run(clock.monotonicMs() + 2_000)).toBeUndefined();
  });

  test("what is cancelled does not come, and a run ends when it is over", () => {
    const clock = new VirtualClock();
    const startMs = clock.monotonicMs();
    const seen: string[] = [];
    const cancel = clock.after(10, () => seen.push("cancelled"));
    clock.after(20, () => seen.push("first"));
    clock.after(30, () => seen.push("second"));
    cancel();
    clock.run(startMs + 100, { isOver: () => seen.length > 0 });
    expect(seen).toEqual(["first"]);
    expect(clock.monotonicMs()).toBe(startMs + 20);
  });

  test("a party's time of day may jump, its durations do not", () => {
    const clock = new VirtualClock();
    const party = new PartyClock(clock);
    const before = party.monotonicMs();
    party.skewMs = -60_000;
    expect(party.nowMs()).toBe(clock.nowMs() - 60_000);
    expect(party.monotonicMs()).toBe(before);
  });
});
