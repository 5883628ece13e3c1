import { describe, expect, test } from "bun:test";
import { NeuronReports } from "../../../src/gateway/upstream/neuron-reports.ts";
import type { Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeNeuron } from "../../fakes/fake-neuron.ts";

const NOW_MS = 5_000_000;
const good = new FakeNeuron().addModel("m", { state: "ready" }).model("m");
const HEALTH: Health = { state: "ok", protocol: 1, version: "1", instance: "i", devices: [] };
const DEVICE = {
  ...{ index: 0, kind: "cpu", name: "CPU", compute_capability: null, state: "ok" },
  ...{ memory_total_bytes: 100, memory_free_bytes: 40 },
};

function reader() {
  const told: string[] = [];
  const reports = new NeuronReports({ nowMs: () => NOW_MS, onNonsense: (what) => told.push(what) });
  const readModels = (...models: unknown[]) => reports.models({ models });
  return { reports, told, readModels };
}

describe("neuron reports", () => {
  test("a good report passes as it is, and nothing is told", () => {
    const { reports, told, readModels } = reader();
    expect(readModels(good)[0]).toBe(good);
    expect(reports.health({ ...HEALTH, devices: [DEVICE] }).devices).toEqual([DEVICE] as never);
    expect(told).toEqual([]);
  });

  test.each([
    ["no outline", null],
    ["no list", { models: "many" }],
    ["an error", []],
  ])("a list of models with %s is refused whole", (_, body) => {
    expect(() => reader().reports.models(body)).toThrow("list of models");
  });

  test.each([undefined, "", 7, "x".repeat(257)])("health with the instance %p is refused", (id) => {
    expect(() => reader().reports.health({ ...HEALTH, instance: id })).toThrow("instance");
  });

  test.each([
    ["an empty id", ""],
    ["a number for an id", 7],
    ["an id of 257 characters", "x".repeat(257)],
    ["a line end in its id", "a\nb"],
  ])("a model with %s is left out, its neighbours stay", (_, id) => {
    const { told, readModels } = reader();
    expect(readModels({ ...good, id }, good).map((model) => model.id)).toEqual(["m"]);
    expect(told).toHaveLength(1);
  });

  test("an id of 256 characters is one", () => {
    const id = "x".repeat(256);
    expect(reader().readModels({ ...good, id })[0]?.id).toBe(id);
  });

  test("of two models with one id the first is taken", () => {
    const { told, readModels } = reader();
    const models = readModels({ ...good, context: 1 }, { ...good, context: 2 });
    expect(models.map(({ context }) => context)).toEqual([1]);
    expect(told).toEqual(['model "m" comes twice']);
  });

  test("of 100,000 models the first 10,000 are known, and one line says so", () => {
    const { reports, told } = reader();
    const models = Array.from({ length: 100_000 }, (_, index) => ({ ...good, id: `m${index}` }));
    expect(reports.models({ models })).toHaveLength(10_000);
    expect(told).toEqual(["100000 models are listed, at most 10000 are known"]);
  });

  test("a state that nobody knows counts as failed, on a device as poisoned, of a neuron as degraded", () => {
    const { reports, readModels } = reader();
    expect(readModels({ ...good, state: "melting" })[0]?.state).toBe("failed");
    const devices = [{ ...DEVICE, state: "melting" }];
    const health = reports.health({ ...HEALTH, state: "melting", devices });
    expect(health.state).toBe("degraded");
    expect(health.devices[0]?.state).toBe("poisoned");
  });

  test.each([
    [{ slots: 0 }, { slots: 1 }],
    [{ slots: -4 }, { slots: 1 }],
    [{ slots: 1e9 }, { slots: 65_536 }],
    [{ in_flight: -1 }, { in_flight: 0 }],
    [{ in_flight: null }, { in_flight: 0 }],
    [{ queued: undefined }, { queued: 0 }],
    [{ progress: 7 }, { progress: 1 }],
    [{ load_seconds: -1 }, { load_seconds: 0 }],
    [{ prefill_tokens_per_second: -5 }, { prefill_tokens_per_second: 0 }],
    [{ file_bytes: -5 }, { file_bytes: 0 }],
    [
      { bytes: { weights: -1, context: 2, compute: 3 } },
      { bytes: { weights: 0, context: 2, compute: 3 } },
    ],
    [{ aliases: ["a", "", "b".repeat(257)] }, { aliases: ["a"] }],
  ])("%j is read as %j", (given, expected) => {
    const { told, readModels } = reader();
    expect(readModels({ ...good, ...given })[0]).toEqual({ ...good, ...expected } as Model);
    expect(told).toHaveLength(1);
  });

  test("a number that is null goes where it may be absent", () => {
    const model = reader().readModels({ ...good, load_seconds: null })[0];
    expect(model).toEqual(good);
  });

  test("a clock that is ahead makes no model younger than now", () => {
    const { told, readModels } = reader();
    expect(readModels({ ...good, last_used_ms: NOW_MS + 1 })[0]?.last_used_ms).toBe(NOW_MS);
    expect(told).toEqual([]);
  });

  test.each([
    [{ memory_free_bytes: -1 }, 100, 0],
    [{ memory_free_bytes: null }, 100, 0],
    [{ memory_free_bytes: 101 }, 100, 100],
    [{ memory_total_bytes: -1 }, 0, 0],
  ])("memory of a device: %j", (given, total, free) => {
    const { reports, told } = reader();
    const [device] = reports.health({ ...HEALTH, devices: [{ ...DEVICE, ...given }] }).devices;
    expect(device).toMatchObject({ memory_total_bytes: total, memory_free_bytes: free });
    expect(told).toHaveLength(1);
  });

  test("a device without an index, or with one that came before, is left out", () => {
    const { reports } = reader();
    const devices = [DEVICE, { ...DEVICE, name: "again" }, { ...DEVICE, index: -1 }];
    expect(reports.health({ ...HEALTH, devices }).devices.map(({ name }) => name)).toEqual(["CPU"]);
  });

  test("events are mended by the same rules, and unknown ones are skipped", () => {
    const { reports } = reader();
    expect(reports.event({ type: "model", model: { ...good, slots: 0 } })).toMatchObject({
      model: { slots: 1 },
    });
    expect(
      reports.event({ type: "snapshot", health: HEALTH, models: [good, good], pulls: "none" }),
    ).toEqual({ type: "snapshot", health: HEALTH, models: [good] });
    expect(reports.event({ type: "earthquake" })).toBeUndefined();
    expect(reports.event({ type: "model", model: { id: "" } })).toBeUndefined();
  });

  test("figures below zero are zero", () => {
    const figures = {
      ...{ id: "m", in_flight: -3, queued: 0, slots_busy: 0, leases: [], last_used_ms: 0 },
      ...{ prompt_tokens: 0, cached_prompt_tokens: 0, completion_tokens: 0 },
    };
    const event = reader().reports.event({ type: "figures", models: [figures] });
    expect(event).toEqual({ type: "figures", models: [{ ...figures, in_flight: 0 }] });
  });

  test("a report with many problems is told in one line of three", () => {
    const { told, readModels } = reader();
    readModels(...["a", "b", "c", "d", "e"].map((id) => ({ ...good, id, in_flight: -1 })));
    expect(told).toHaveLength(1);
    expect(told[0]).toContain("and 2 more");
  });
});
