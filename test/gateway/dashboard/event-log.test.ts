import { describe, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import { EVENTS_MAX, EventLog } from "../../../src/gateway/dashboard/event-log.ts";

describe("the event log", () => {
  test("keeps the last lines that were logged, and no debug lines", () => {
    const events = new EventLog(() => 7);
    const log = events.remember(silentLog);
    log.debug("hidden");
    for (let index = 0; index < EVENTS_MAX + 5; index += 1) log.warn("line", { index });
    const kept = [...events.events.values()];
    expect(kept).toHaveLength(EVENTS_MAX);
    expect(kept[0]).toEqual({
      ...{ at_ms: 7, level: "warn", kind: "gateway", text: "line" },
      fields: { index: 5 },
    });
  });

  test("keeps the fields that are bound to a part's log, also to a part of a part", () => {
    const events = new EventLog(() => 7);
    const log = events.remember(silentLog).child({ neuron: "a" }).child({ device: 1 });
    log.info("It happens", { model: "m" });
    const [event] = events.events.values();
    expect(event?.fields).toEqual({ neuron: "a", device: 1, model: "m" });
  });

  test("says what each line is about", () => {
    const events = new EventLog(() => 7);
    const log = events.remember(silentLog);
    log.info("Request failed", { request: "r", model: "m" });
    log.info("Evicting", { neuron: "a", model: "m" });
    log.info("Neuron is up", { neuron: "a" });
    log.info("Configuration applied");
    log.info("History ends");
    const kinds = [...events.events.values()].map(({ kind }) => kind);
    expect(kinds).toEqual(["request", "model", "neuron", "config", "gateway"]);
  });

  test("cuts what is too long and leaves out what has no value", () => {
    const events = new EventLog(() => 7);
    events.remember(silentLog).error("x".repeat(5_000), { cause: "y".repeat(5_000), none: null });
    const [event] = events.events.values();
    expect(event?.text.length).toBeLessThan(1_000);
    expect(Object.keys(event?.fields ?? {})).toEqual(["cause"]);
    expect(String(event?.fields["cause"]).length).toBeLessThan(1_000);
  });
});
