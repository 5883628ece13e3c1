import { describe, expect, test } from "bun:test";
import { silentLog } from "../../../src/base/log.ts";
import type { ModelProfile } from "../../../src/config/models-schema.ts";
import { Fleet } from "../../../src/gateway/fleet/fleet.ts";
import type { Health } from "../../../src/protocol/health.ts";
import type { Model } from "../../../src/protocol/models.ts";
import { FakeClock } from "../../fakes/fake-clock.ts";
import { FakeNeuron, GIB } from "../../fakes/fake-neuron.ts";
import { profile } from "../fixture.ts";

const DEVICE = {
  ...{ index: 0, kind: "cuda", name: "GPU", compute_capability: "9.0", state: "ok" as const },
  ...{ memory_total_bytes: 80 * GIB, memory_free_bytes: 70 * GIB },
};
const HEALTH: Health = { state: "ok", protocol: 1, version: "1", instance: "i", devices: [] };

/** A fleet whose neurons, named a, b, c …, have the model in these states. */
function fleetOf(states: readonly Model["state"][], given: Partial<ModelProfile> = {}) {
  const clock = new FakeClock();
  const names = states.map((_, index) => String.fromCharCode(97 + index));
  const fleet = new Fleet({
    neurons: names.map((name) => ({ name, endpoint: `http://${name}` })),
    profiles: { models: [profile({ id: "m", ...given })] },
    clock,
    log: silentLog,
  });
  for (const [index, state] of states.entries()) {
    const name = names[index] ?? "";
    const fake = new FakeNeuron().addModel("m", { state });
    fleet.applySnapshot(name, { ...HEALTH, instance: name }, [fake.model("m")]);
    fleet.noteSuccess(name);
  }
  const entry = fleet.catalogue.find("m");
  if (entry === undefined) throw new Error("No model in the catalogue");
  const listNames = (list: readonly { readonly neuron: string }[]) =>
    list.map(({ neuron }) => neuron);
  return {
    ...{ fleet, clock, entry },
    warm: () => listNames(fleet.warmCandidates(entry, undefined)),
    cold: () => listNames(fleet.coldCandidates(entry, undefined)),
    why: (name: string) => fleet.rejected(entry).find(({ neuron }) => neuron === name)?.why,
    replica: (name: string) => {
      const replica = fleet.findReplica(name, "m");
      if (replica === undefined) throw new Error(`No replica on ${name}`);
      return replica;
    },
  };
}

describe("candidates", () => {
  test("every neuron that has the model is warm, cold, or rejected with a reason", () => {
    const all = fleetOf(["ready", "loading", "absent", "failed"]);
    expect(all.warm()).toEqual(["a", "b"]);
    expect(all.cold()).toEqual(["c", "d"]);
    expect(all.fleet.rejected(all.entry)).toEqual([]);
  });

  test("of many neurons some are drawn for a load, and all that have room", () => {
    const { fleet, entry, cold } = fleetOf(Array.from({ length: 40 }, () => "absent"));
    const full = { ...DEVICE, memory_free_bytes: 0 };
    for (const name of cold()) {
      const devices = name === "b" || name === "z" ? [DEVICE] : [full];
      fleet.applyHealth(name, { ...HEALTH, instance: name, devices });
    }
    const drawn = new Set<string>();
    for (let round = 0; round < 50; round += 1) {
      const names = fleet
        .coldCandidates(entry, undefined, () => (round * 0.618 + 0.1) % 1)
        .map(({ neuron }) => neuron);
      expect(names).toContain("b");
      expect(names).toContain("z");
      expect(names.length).toBeLessThanOrEqual(18);
      for (const name of names) drawn.add(name);
    }
    expect(drawn.size).toBeGreaterThan(18);
    expect(cold().length).toBe(40);
  });

  test("a load that was given up is joined by nobody until it has ended, well or not", () => {
    const { fleet, clock, entry, warm, cold, why, replica } = fleetOf(["loading"]);
    fleet.noteLoadFailed("a", "m", "no progress for 300 s");
    expect(why("a")).toBe("failed to load it (no progress for 300 s): no other try for 10 s");
    clock.advance(60_000);
    expect([warm(), cold()]).toEqual([[], []]);
    const { message, retryAfterSeconds } = fleet.explainNone(entry);
    expect(message).toContain("no progress for 300 s");
    expect(retryAfterSeconds).toBe(1);
    const { report } = replica("a");
    if (report === undefined) throw new Error("No report");
    fleet.applyModel("a", { ...report, state: "absent" });
    expect([warm(), cold()]).toEqual([[], ["a"]]);
    fleet.applyModel("a", { ...report, state: "loading" });
    expect(warm()).toEqual(["a"]);
  });

  test("a neuron that failed three requests in a row is told with the time that is left", () => {
    const { fleet, clock, warm, why, replica } = fleetOf(["ready", "ready"]);
    for (let count = 0; count < 3; count += 1) fleet.noteRequestFailed(replica("a"));
    expect(warm()).toEqual(["b"]);
    expect(why("a")).toBe("failed its last requests: none for 5 s");
    clock.advance(5_000);
    expect(warm()).toEqual(["a", "b"]);
  });

  test("a neuron that failed to load is told with its cause and the time that is left", () => {
    const { fleet, clock, cold, why } = fleetOf(["absent", "absent"]);
    fleet.noteLoadFailed("a", "m", "file is damaged");
    clock.advance(2_500);
    expect(cold()).toEqual(["b"]);
    expect(why("a")).toBe("failed to load it (file is damaged): no other try for 8 s");
  });

  test("nobody joins a load that was given up, until it is ready after all", () => {
    const { fleet, warm, cold, why, replica } = fleetOf(["loading", "absent"]);
    fleet.noteLoadFailed("a", "m", "no progress for 60 s");
    expect([warm(), cold()]).toEqual([[], ["b"]]);
    expect(why("a")).toBe("failed to load it (no progress for 60 s): no other try for 10 s");
    const { report } = replica("a");
    if (report !== undefined) fleet.applyModel("a", { ...report, state: "ready" });
    expect(warm()).toEqual(["a"]);
  });

  test("one that asked for a pause is told, and serves where it is the only one", () => {
    const { fleet, warm, why, replica } = fleetOf(["ready", "ready"]);
    fleet.noteBusy(replica("a"), 7);
    expect(warm()).toEqual(["b"]);
    expect(why("a")).toBe("asked for a pause of 7 s");
    fleet.noteFailure("b", "refused", "refused");
    expect(warm()).toEqual(["a"]);
    expect(why("b")).toBe("is down (refused)");
  });

  test("a profile's limit of replicas ends loads, and counts only those that can serve", () => {
    const { fleet, cold, why, replica } = fleetOf(["ready", "loading", "absent"], {
      replicas_max: 2,
    });
    expect(cold()).toEqual([]);
    expect(why("c")).toBe("may not load it: 2 of at most 2 neurons hold it");
    for (let count = 0; count < 3; count += 1) fleet.noteRequestFailed(replica("a"));
    expect(cold()).toEqual(["c"]);
    expect(why("c")).toBeUndefined();
  });

  test("what a profile forbids is told before anything else", () => {
    const { fleet, warm, cold, why } = fleetOf(["ready", "absent", "ready"], { neurons: ["a"] });
    fleet.noteFailure("c", "refused", "refused");
    expect([warm(), cold()]).toEqual([["a"], []]);
    expect(why("b")).toBe("is not among the neurons of 'm'");
    expect(why("c")).toBe("is not among the neurons of 'm'");
  });
});
