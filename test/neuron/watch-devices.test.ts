import { afterEach, describe, expect, test } from "bun:test";
import { stallLimitMs } from "../../src/neuron/watch-devices.ts";
import type { Health } from "../../src/protocol/health.ts";
import { NeuronFixture } from "./fixture.ts";

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

describe("threads that hang in preparing", () => {
  let fixture: NeuronFixture;

  afterEach(() => fixture.stop());

  const health = async () => (await (await fixture.get("/health")).json()) as Health;
  const hang = async (count: number) => {
    fixture = await NeuronFixture.start();
    await fixture.load("alpha");
    fixture.engine.opened("cpu0").preparingStuck = count;
    await fixture.clock.advance(1_000);
  };

  test("are borne up to two", async () => {
    await hang(2);
    const { state, cause } = await health();
    expect([state, cause]).toEqual(["ok", undefined]);
    expect(fixture.log.has("device degraded")).toBe(false);
  });

  test("beyond it degrade the neuron, with the cause in /health and one line in the log", async () => {
    await hang(3);
    await fixture.clock.advance(1_000);
    const cause = "3 requests hang in preparing, at most 2 are borne";
    expect(await health()).toMatchObject({ state: "degraded", cause: `Device 'cpu0': ${cause}` });
    const lines = fixture.log.lines.filter(({ text }) => text === "device degraded");
    expect(lines.map(({ level, fields }) => [level, fields])).toEqual([
      ["error", { device: "cpu0", cause }],
    ]);
    expect((await fixture.chat()).status).toBe(200);
    for (let second = 0; second < 31; second += 1) await fixture.clock.advance(1_000);
    expect(await fixture.neuron.exited).toBe(1);
  });
});
