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
    expect(kept[0]).toEqual({ at_ms: 7, level: "warn", text: "line", fields: { index: 5 } });
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
