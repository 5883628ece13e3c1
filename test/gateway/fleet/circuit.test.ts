import { describe, expect, test } from "bun:test";
import { Circuit } from "../../../src/gateway/fleet/circuit.ts";
import { Replica } from "../../../src/gateway/fleet/replica.ts";

function opened(): Circuit {
  const circuit = new Circuit();
  for (let count = 0; count < 3; count += 1) circuit.noteFailed(0);
  return circuit;
}

describe("circuit", () => {
  test("two failures and an answer leave it closed", () => {
    const circuit = new Circuit();
    for (let round = 0; round < 5; round += 1) {
      circuit.noteFailed(0);
      circuit.noteFailed(0);
      circuit.noteServed(0);
    }
    expect(circuit.admits(0)).toBe(true);
  });

  test("after its pause one request may try, not a flood", () => {
    const circuit = opened();
    expect(circuit.admits(4_999)).toBe(false);
    expect(circuit.admits(5_000)).toBe(true);
    expect(circuit.begin(5_000)).toBe(true);
    expect(circuit.admits(5_000)).toBe(false);
    expect(circuit.admits(6_999)).toBe(false);
  });

  test("the first answer lets all others through", () => {
    const circuit = opened();
    circuit.begin(5_000);
    circuit.noteServed(5_100);
    circuit.endProbe();
    expect(circuit.begin(5_100)).toBe(false);
    expect(circuit.admits(5_100)).toBe(true);
  });

  test("one failed try closes the way again, for twice as long and at most a minute", () => {
    const circuit = opened();
    let nowMs = 5_000;
    for (const pauseMs of [10_000, 20_000, 40_000, 60_000, 60_000]) {
      circuit.begin(nowMs);
      circuit.noteFailed(nowMs);
      circuit.endProbe();
      expect(circuit.admits(nowMs + pauseMs - 1)).toBe(false);
      nowMs += pauseMs;
      expect(circuit.admits(nowMs)).toBe(true);
    }
  });

  test("a try whose client leaves lets another one try at once", () => {
    const circuit = opened();
    circuit.begin(5_000);
    circuit.endProbe();
    expect(circuit.admits(5_001)).toBe(true);
  });

  test("a try that lasts, as a long answer does, lets the next one try after two seconds", () => {
    const circuit = opened();
    circuit.begin(5_000);
    expect(circuit.admits(7_000)).toBe(true);
  });

  test("an answer that began before it opened does not close it", () => {
    const circuit = opened();
    circuit.noteServed(1_000);
    expect(circuit.admits(1_000)).toBe(false);
  });

  test("a clock that is set back keeps nobody away for longer than the longest pause", () => {
    const circuit = new Circuit();
    const hourMs = 3_600_000;
    for (let count = 0; count < 3; count += 1) circuit.noteFailed(hourMs);
    expect(circuit.admits(hourMs)).toBe(false);
    expect(circuit.admits(0)).toBe(true);
    const replica = new Replica("n", "m");
    replica.noteLoadFailed("no", hourMs);
    replica.noteBusy(hourMs, 30);
    expect([replica.isCoolingDown(hourMs), replica.isPaused(hourMs)]).toEqual([true, true]);
    expect([replica.isCoolingDown(0), replica.isPaused(0)]).toEqual([false, false]);
  });
});
