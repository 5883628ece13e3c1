import { describe, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { KeptLog, type KeptLogOptions, LINES_MAX } from "../../src/kept-log/kept-log.ts";

function keptLog(options: Partial<KeptLogOptions> = {}): KeptLog {
  return new KeptLog({ role: "gateway", nowMs: () => 7, ...options });
}

describe("a kept log", () => {
  test("keeps the last lines that were logged, and no debug lines", () => {
    const kept = keptLog();
    const log = kept.remember(silentLog);
    log.debug("hidden");
    for (let index = 0; index < LINES_MAX + 5; index += 1) log.warn("line", { index });
    const lines = [...kept.lines.values()];
    expect(lines).toHaveLength(LINES_MAX);
    expect(lines[0]).toEqual({
      ...{ at_ms: 7, level: "warn", kind: "gateway", text: "line" },
      fields: { index: 5 },
    });
  });

  test("keeps the fields that are bound to a part's log, also to a part of a part", () => {
    const kept = keptLog();
    const log = kept.remember(silentLog).child({ neuron: "a" }).child({ device: 1 });
    log.info("It happens", { model: "m" });
    const [event] = kept.lines.values();
    expect(event?.fields).toEqual({ neuron: "a", device: 1, model: "m" });
  });

  test("says what each line is about", () => {
    const kept = keptLog();
    const log = kept.remember(silentLog);
    log.info("Request failed", { request: "r", model: "m" });
    log.info("Evicting", { neuron: "a", model: "m" });
    log.info("Neuron is up", { neuron: "a" });
    log.info("Configuration applied");
    log.info("History ends");
    const kinds = [...kept.lines.values()].map(({ kind }) => kind);
    expect(kinds).toEqual(["request", "model", "neuron", "config", "gateway"]);
  });

  test("cuts what is too long and leaves out what has no value", () => {
    const kept = keptLog();
    kept.remember(silentLog).error("x".repeat(5_000), { cause: "y".repeat(5_000), none: null });
    const [event] = kept.lines.values();
    expect(event?.text.length).toBeLessThan(1_000);
    expect(Object.keys(event?.fields ?? {})).toEqual(["cause"]);
    expect(String(event?.fields["cause"]).length).toBeLessThan(1_000);
  });

  test("is about its own role where a line names nothing, and withholds what could quote a client", () => {
    const kept = keptLog({ role: "neuron", withheld: new Set(["detail"]) });
    kept.remember(silentLog).warn("Device is slow", { device: 0, detail: "what somebody said" });
    expect([...kept.lines.values()]).toEqual([
      {
        ...{ at_ms: 7, level: "warn", kind: "neuron", text: "Device is slow" },
        fields: { device: 0 },
      },
    ]);
  });
});
