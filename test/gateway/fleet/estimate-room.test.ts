import { describe, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import type { ModelProfile } from "../../../src/config/models-schema.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Device } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { profile } from "../fixture.ts";

/** No room, as the router sees it. */
const NO_ROOM = 3_600;

function device(index: number, freeGib: number, given: Partial<Device> = {}): Device {
  return {
    ...{ index, kind: "gpu", name: `d${index}`, compute_capability: null, state: "ok" },
    ...{ memory_total_bytes: 10 * GIB, memory_free_bytes: freeGib * GIB },
    ...given,
  };
}

function model(id: string, gib: number, given: Partial<Model> = {}): Model {
  const report = new FakeNeuron().addModel(id, { bytes: gib * GIB }).model(id);
  return { ...report, devices: [], load_seconds: 10, ...given };
}

/** One neuron "n" with these devices, a model "m" that is asked for, and others. */
function fleetWith(
  devices: readonly Device[],
  models: readonly Model[],
  profiles: readonly ModelProfile[] = [],
) {
  const clock = new FakeClock();
  const fleet = new Fleet({
    neurons: [{ name: "n", endpoint: "http://n" }],
    ...{ profiles: { models: [...profiles] }, clock, log: silentLog },
  });
  const health = { state: "ok", protocol: 1, version: "1", instance: "i" } as const;
  fleet.applySnapshot("n", { ...health, devices: [...devices] }, models);
  fleet.noteSuccess("n");
  const entryOf = (id: string) => {
    const entry = fleet.catalogue.find(id);
    if (entry === undefined) throw new Error(`No model ${id}`);
    return entry;
  };
  const regret = () => fleet.coldCandidates(entryOf("m"), undefined)[0]?.regretSeconds ?? -1;
  return { fleet, entryOf, regret };
}

const idle = (id: string, gib: number, given: Partial<Model> = {}) =>
  model(id, gib, { state: "ready", devices: [0], ...given });

describe("room for a model, as the router estimates it", () => {
  test("what waits for the model itself takes nothing from it, what waits for another does", () => {
    const { fleet, entryOf, regret } = fleetWith([device(0, 8)], [model("m", 6), model("o", 6)]);
    const own = fleet.acquire("n", entryOf("m"), true);
    expect(regret()).toBe(0);
    const other = fleet.acquire("n", entryOf("o"), true);
    expect(regret()).toBe(NO_ROOM);
    other.release();
    own.release();
    expect(regret()).toBe(0);
  });

  test("an idle model may go, one that a profile pins or another gateway waits for may not", () => {
    expect(fleetWith([device(0, 1)], [model("m", 6), idle("v", 8)]).regret()).toBeLessThan(10);
    const pins = [profile({ id: "v", pinned: true })];
    expect(fleetWith([device(0, 1)], [model("m", 6), idle("v", 8)], pins).regret()).toBe(NO_ROOM);
    const leases = [{ holder: "other", count: 1, since_ms: 0 }];
    const leased = fleetWith([device(0, 1)], [model("m", 6), idle("v", 8, { leases })]);
    expect(leased.regret()).toBe(NO_ROOM);
  });

  test("a model goes on one device, or on all of them together", () => {
    const models = [model("m", 6), idle("v", 5, { pinned: true })];
    expect(fleetWith([device(0, 4), device(1, 7)], models).regret()).toBe(0);
    expect(fleetWith([device(0, 4), device(1, 4)], models).regret()).toBe(0);
    expect(fleetWith([device(0, 2), device(1, 3)], models).regret()).toBe(NO_ROOM);
  });

  test("only those victims count that lie where the room is wanted", () => {
    const models = [model("m", 6), idle("v", 5), idle("w", 2, { devices: [1] })];
    const before = fleetWith([device(0, 5), device(1, 0)], models).regret();
    const alone = fleetWith([device(0, 5)], models.slice(0, 2)).regret();
    expect(before).toBe(alone);
    expect(before).toBeGreaterThan(0);
  });

  test("a host's own memory is none of its GPU's, and a device that failed is none at all", () => {
    const cpu = device(1, 500, { kind: "cpu" });
    expect(fleetWith([device(0, 4), cpu], [model("m", 6)]).regret()).toBe(NO_ROOM);
    const poisoned = device(0, 9, { state: "poisoned" });
    expect(fleetWith([poisoned, device(1, 4)], [model("m", 6)]).regret()).toBe(NO_ROOM);
    expect(fleetWith([poisoned, cpu], [model("m", 6)]).regret()).toBe(0);
  });

  test("a load on its way takes what it has not taken yet from its own device", () => {
    const loading = model("l", 8, { state: "loading", devices: [1], progress: 0.5 });
    expect(fleetWith([device(0, 6), device(1, 6)], [model("m", 6), loading]).regret()).toBe(0);
    const there = { ...loading, devices: [0] };
    expect(fleetWith([device(0, 9)], [model("m", 6), there]).regret()).toBe(NO_ROOM);
  });
});
