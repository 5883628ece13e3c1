import { expect, test } from "bun:test";
import { formatStatus, isDegraded } from "../../../src/cli/client/format-status.ts";
import { styleFor } from "../../../src/cli/frame/style.ts";
import type { Status } from "../../../src/protocol/status.ts";

const style = styleFor({}, { NO_COLOR: "1" });

function statusOf(neurons: Status["neurons"]): Status {
  return {
    version: "1.0.0",
    state: "ok",
    uptime_seconds: 1,
    in_flight: 0,
    waiting: 0,
    loads: 0,
    eviction_strategy: "lru",
    neurons,
    models: [],
  };
}

const API: Status["neurons"][number] = {
  name: "cloud",
  kind: "openai",
  endpoint: "https://api.example/v1",
  state: "up",
  last_seen_ms: 1_000,
  in_flight: 3,
  devices: [],
};

test("an API is shown with its kind where a neuron shows devices", () => {
  const text = formatStatus(statusOf([API]), { style, nowMs: 2_000 });
  expect(text).toMatch(/^cloud +up +openai +- +- +3 .*https:\/\/api\.example\/v1$/m);
  expect(isDegraded(statusOf([API]))).toBe(false);
  const { kind: _, ...older } = API;
  expect(formatStatus(statusOf([older]), { style, nowMs: 2_000 })).toMatch(/^cloud +up +- +- +- /m);
});

test("an API that is down is a problem with its cause", () => {
  const down: typeof API = {
    ...API,
    state: "down",
    cause: "cloud refuses the gateway's key (401)",
  };
  const text = formatStatus(statusOf([down]), { style, nowMs: 2_000 });
  expect(text).toContain("neuron cloud is down: cloud refuses the gateway's key (401)");
  expect(isDegraded(statusOf([down]))).toBe(true);
});
