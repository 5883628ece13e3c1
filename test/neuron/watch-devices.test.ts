import { describe, expect, test } from "bun:test";
import { stallLimitMs } from "../../src/neuron/watch-devices.ts";

const FIGURES = {
  state: "ok",
  cause: null,
  steps: 1,
  last_step_ms_ago: 0,
  longest_step_ms: 500,
  turn_ms_ago: 0,
  doing: "prefill",
  preparing_stuck: 0,
  models: [],
} as const;

describe("the limit of a device's step", () => {
  test("is the configured one while steps are short", () => {
    expect(stallLimitMs(FIGURES, 180)).toBe(180_000);
  });

  test("is never below 30 seconds", () => {
    expect(stallLimitMs(FIGURES, 1)).toBe(30_000);
  });

  test("grows with the longest step that the device has made, so that a slow one is not taken for hanging", () => {
    expect(stallLimitMs({ ...FIGURES, longest_step_ms: 60_000 }, 180)).toBe(1_200_000);
  });

  test("is ten times as long for a job, which shows no steps", () => {
    expect(stallLimitMs({ ...FIGURES, doing: "job" }, 180)).toBe(1_800_000);
  });

  test("does not exist where the watch is switched off", () => {
    expect(stallLimitMs(FIGURES, 0)).toBe(Number.POSITIVE_INFINITY);
  });
});
