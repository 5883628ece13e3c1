import { describe, expect, test } from "bun:test";
import type { RequestRecord } from "../../src/protocol/request-log.ts";
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

function withNeuron(change: (neuron: NeuronSpec) => NeuronSpec): readonly NeuronSpec[] {
  return NEURONS.map(change);
}

/** A host with two devices; the models named have other sizes. */
function pairWith(gibibytes: Readonly<Record<string, number>>): readonly NeuronSpec[] {
  return withNeuron((neuron) => ({
    ...neuron,
    devices: [{ totalBytes: 10 * GIB }, { totalBytes: 10 * GIB }],
    models: neuron.models.map((model) => {
      return { ...model, bytes: (gibibytes[model.id] ?? 4) * GIB };
    }),
  }));
}

function replayWith(
  profiles: Parameters<typeof modelProfiles>[0],
  given: { readonly records?: readonly RequestRecord[]; readonly neurons?: typeof NEURONS } = {},
) {
  const { records = RECORDS, neurons = NEURONS } = given;
  return replay({
    records,
    neurons,
    config: gatewayConfig({ neurons }),
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

  test("a model larger than each device is spread over all of them, and what is there makes room", () => {
    const { total, models, failures } = replayWith([], { neurons: pairWith({ c: 18 }) });
    expect(failures).toEqual({});
    expect(total).toMatchObject({ answered: 12, idle_unloads: 0 });
    // a and b have a device each, and both go for c.
    expect(models["c"]).toMatchObject({ cold_loads: 4, evictions: 3 });
    expect(models["a"]).toMatchObject({ cold_loads: 3, evictions: 4 });
  });

  test("a model takes what a spread one leaves of each device, and then stays beside it", () => {
    const { models } = replayWith([], { neurons: pairWith({ c: 16 }) });
    expect(models["a"]).toMatchObject({ answered: 4, cold_loads: 1 });
  });

  test("what is larger than all devices together is refused", () => {
    const { failures } = replayWith([], { neurons: pairWith({ c: 21 }) });
    expect(failures).toEqual({ "507": 4 });
  });

  test("a cache that a profile keeps is there after the next load", () => {
    const records = RECORDS.map((record) => ({
      ...record,
      ...{ session: record.model, prompt_tokens: 4_000 },
    }));
    const ids = ["a", "b", "c"];
    const cold = replayWith([], { records });
    const kept = replayWith(
      ids.map((id) => ({ id, keep_kv: true })),
      { records },
    );
    expect(kept.total.cold_loads).toBe(cold.total.cold_loads);
    // 4,000 tokens take 4 s to read, the load 5 s.
    expect(cold.models["c"]?.ttft_seconds.p50).toBeGreaterThan(9);
    expect(kept.models["c"]?.ttft_seconds.p50).toBeLessThan(6);
  });

  test("unloads of idle models are told apart from those that make room", () => {
    const wide = withNeuron((neuron) => ({ ...neuron, devices: [{ totalBytes: 20 * GIB }] }));
    const { total } = replayWith(
      ["a", "b", "c"].map((id) => ({ id, idle_seconds: 60 })),
      { neurons: wide },
    );
    expect(total.evictions).toBe(0);
    expect(total.idle_unloads).toBeGreaterThan(8);
    expect(replayWith([]).total).toMatchObject({ evictions: 10, idle_unloads: 0 });
  });

  test("requests for a model that nobody has are counted with their status", () => {
    const stranger = {
      time_ms: 1_000_001,
      model: "stranger",
      prompt_tokens: 1,
      completion_tokens: 1,
    };
    const records = [...RECORDS, stranger].toSorted((a, b) => a.time_ms - b.time_ms);
    const { total, failures } = replayWith([], { records });
    expect(total.failed).toBe(1);
    expect(failures).toEqual({ "404": 1 });
  });

  test("the same log and seed give the same report", () => {
    expect(replayWith([])).toEqual(replayWith([]));
  });
});
