import { describe, expect, test } from "bun:test";
import { replay } from "../../src/simulation/replay.ts";
import type { NeuronSpec } from "../../src/simulation/specs.ts";
import { GIB, gatewayConfig, modelProfiles } from "../sim/scenario.ts";

const NEURONS: readonly NeuronSpec[] = [
  {
    name: "box",
    devices: [{ totalBytes: 10 * GIB }],
    queueMax: 16,
    models: ["a", "b", "c"].map((id) => ({
      id,
      aliases: [],
      bytes: 4 * GIB,
      contextBytes: 0,
      slots: 2,
      context: 8_192,
      loadSeconds: 5,
      prefillTokensPerSecond: 1_000,
      decodeTokensPerSecond: 50,
      loaded: id !== "c",
      pinned: false,
    })),
  },
];

/** a, b and c in turn, a minute apart. */
const RECORDS = Array.from({ length: 12 }, (_, index) => ({
  time_ms: 1_000_000 + index * 60_000,
  model: ["a", "b", "c"][index % 3] ?? "a",
  prompt_tokens: 500,
  completion_tokens: 50,
}));

function replayWith(profiles: Parameters<typeof modelProfiles>[0], records = RECORDS) {
  return replay({
    records,
    neurons: NEURONS,
    config: gatewayConfig({ neurons: NEURONS }),
    profiles: modelProfiles(profiles),
    seed: 1,
  });
}

describe("replay", () => {
  test("three models in turn on memory for two are loaded anew each time", () => {
    const { total, models } = replayWith([]);
    expect(total).toMatchObject({ requests: 12, answered: 12, failed: 0 });
    expect(total.cold_loads).toBe(10);
    expect(total.evictions).toBe(10);
    expect(total.ttft_seconds.p50).toBeGreaterThan(5);
    expect(models["c"]).toMatchObject({ requests: 4, cold_loads: 4 });
  });

  test("a pinned model stays, which the others pay for", () => {
    const { models } = replayWith([{ id: "a", pinned: true }]);
    expect(models["a"]).toMatchObject({ cold_loads: 0, evictions: 0 });
    expect(models["a"]?.ttft_seconds.max).toBeLessThan(1);
    expect(models["b"]?.cold_loads).toBe(3);
  });

  test("fewer slots make room for all three", () => {
    const shape = { slots: 1, context: 1_024 };
    const small = NEURONS.map((neuron) => ({
      ...neuron,
      models: neuron.models.map((model) => ({ ...model, bytes: 2 * GIB, contextBytes: 2 * GIB })),
    }));
    const { total } = replay({
      records: RECORDS,
      neurons: small.map((neuron) => ({
        ...neuron,
        models: neuron.models.map((model) => ({ ...model, loaded: false })),
      })),
      config: gatewayConfig({ neurons: NEURONS }),
      profiles: modelProfiles(["a", "b", "c"].map((id) => ({ id, ...shape }))),
      seed: 1,
    });
    expect(total).toMatchObject({ cold_loads: 3, evictions: 0, answered: 12 });
  });

  test("requests for a model that nobody has are counted with their status", () => {
    const stranger = {
      time_ms: 1_000_001,
      model: "stranger",
      prompt_tokens: 1,
      completion_tokens: 1,
    };
    const { total, failures } = replayWith(
      [],
      [...RECORDS, stranger].toSorted((a, b) => a.time_ms - b.time_ms),
    );
    expect(total.failed).toBe(1);
    expect(failures).toEqual({ "404": 1 });
  });

  test("the same log and seed give the same report", () => {
    expect(replayWith([])).toEqual(replayWith([]));
  });
});
